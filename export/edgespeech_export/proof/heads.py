"""Proof that the bundle of an encoder with a head computes what the reference model computes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import edgespeech_runtime
import numpy as np
import torch
from edgespeech_runtime.bundle.contracts import HEADS, VALUES
from edgespeech_runtime.choices import Task
from torch import Tensor

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech_export.errors import ProofError
from edgespeech_export.graphs.heads import computed
from edgespeech_export.proof import proof
from edgespeech_export.proof.proof import Arrays, Logits, Reference, Waveform, difference, model_input

Pairs: TypeAlias = Sequence[tuple[Logits, Logits]]  # of the reference model and of the bundle


@dataclass(frozen=True)
class Parity:
    """What was compared and how it came out: largest differences of any number from the reference model in float64."""

    frames: list[int]  # of each utterance
    float32: float  # torch's own
    single: float
    batch: float
    largest_logit: float
    tolerance: float


@dataclass(frozen=True)
class HeadReference(Reference):
    """What an encoder with a head says, and the model that says it."""

    model: PreTrainedModel
    task: Task

    def again(self) -> "HeadReference":
        """See `Reference.again`."""
        return reference(self.model, self.task, self.waveforms, self.normalized)

    def golden(self) -> Arrays:
        """See `Reference.golden`."""
        values = model_input(self.waveforms[0], self.normalized)
        return {VALUES.name: values, HEADS[self.task].name: self.exact[0][None]}

    def prove(self, bundle: Path) -> dict[str, object]:
        """Compare the golden input, lengths at the edges alone, and all of them as one padded batch.

        Returns the numbers, and whether the answers that follow from them are the same; errors as `Reference.prove`.
        """
        with edgespeech_runtime.load(bundle, self_check="never") as runtime:
            alone = [_logits(runtime.predict(waveform)) for waveform in self.waveforms]
            together = [
                _logits(prediction) for prediction in runtime.predict(self.waveforms, batch_size=len(self.waveforms))
            ]
            parity = Parity(
                frames=[runtime.manifest.frames.count(len(waveform)) for waveform in self.waveforms],
                float32=self.float32,
                single=difference(self.exact, alone),
                batch=difference(self.exact, together),
                largest_logit=self.largest,
                tolerance=self.allowed,
            )
            for name in ("single", "batch"):
                proof.require(name, getattr(parity, name), self)
            runtime.self_check()
        return {**asdict(parity), **_answers(self.task, self.exact * 2, alone + together)}


def reference(model: PreTrainedModel, task: Task, waveforms: list[Waveform], normalized: bool) -> HeadReference:
    """Run the model on each input, in float64 and in float32."""
    values = [torch.from_numpy(model_input(waveform, normalized)) for waveform in waveforms]

    def outputs() -> Iterator[Tensor]:
        return (computed(model, task)(each.to(model.dtype))[0] for each in values)

    return HeadReference(waveforms, normalized, *proof.exactly(model, outputs), model, task)


def _logits(prediction: edgespeech_runtime.Prediction) -> Logits:
    if prediction.logits is None:
        raise ProofError("the bundle gives no logits, so there is nothing to compare; no bundle was written")
    return prediction.logits


def _answers(task: Task, expected: list[Logits], outputs: list[Logits]) -> dict[str, object]:
    """Whether what follows from the outputs is the same; of embeddings, how alike their directions are.

    Two tokens or labels can only change places where they are closer to each other than twice the difference.
    """
    pairs = list(zip(expected, outputs, strict=True))
    key, agreement = ANSWERS[task]
    return {key: agreement(pairs)}


def _same_largest(pairs: Pairs) -> bool:
    return all(np.array_equal(a.argmax(-1), b.argmax(-1)) for a, b in pairs)


def _same_signs(pairs: Pairs) -> bool:
    return all(np.array_equal(a > 0, b > 0) for a, b in pairs)  # above a probability of 1/2


def _least_cosine(pairs: Pairs) -> float:
    rows = [row for a, b in pairs for row in zip(np.atleast_2d(a), np.atleast_2d(b), strict=True)]  # features by frame
    return min(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for a, b in rows)


# What the report says of the answers that follow from the outputs, and how that is found.
ANSWERS: dict[Task, tuple[str, Callable[[Pairs], object]]] = {
    "ctc": ("same_tokens", _same_largest),
    "audio-classification": ("same_labels", _same_largest),
    "audio-frame-classification": ("same_labels", _same_signs),
    "audio-xvector": ("least_cosine", _least_cosine),
    "feature-extraction": ("least_cosine", _least_cosine),
}
