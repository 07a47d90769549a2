"""Proof that the bundle of an encoder with a head computes what the reference model computes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import edgespeech_runtime
import numpy as np
import torch
from edgespeech_runtime.bundle.contracts import HEADS, VALUES
from edgespeech_runtime.bundle.manifest import Audio, Frames
from edgespeech_runtime.choices import Task
from torch import Tensor

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.encoder.transformer import Trace
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
    window: float | None  # of windows of a recording; None where there is no graph for them
    largest_logit: float
    tolerance: float


@dataclass(frozen=True)
class Windows:
    """Parts of the golden input: where they begin and end, in samples, and how many frames samples give."""

    cuts: list[tuple[int, int]]
    frames: Frames


@dataclass(frozen=True)
class HeadReference(Reference):
    """What an encoder with a head says.

    Attributes:
        task: what the head is for.
        windows: parts of the golden input; None where there is no graph for them.
        of_windows: the exact outputs for these.
    """

    task: Task
    windows: Windows | None
    of_windows: list[Logits]

    def again(self, model: Any) -> "HeadReference":
        """See `Reference.again`."""
        return reference(model, self.task, self.waveforms, self.normalized, self.windows)

    def golden(self) -> Arrays:
        """See `Reference.golden`."""
        values = model_input(self.waveforms[0], self.normalized)
        return {VALUES.name: values, HEADS[self.task].name: self.exact[0][None]}

    def prove(self, bundle: Path) -> dict[str, object]:
        """Compare the golden input, lengths at the edges alone, all of them as one padded batch, and windows.

        Returns the numbers, and whether the answers that follow from them are the same; errors as `Reference.prove`.
        """
        with edgespeech_runtime.load(bundle, self_check="never") as runtime:
            alone = [_logits(runtime.predict(waveform)) for waveform in self.waveforms]
            runtime.unload()  # each graph may take as much memory as the weights
            together = [
                _logits(prediction) for prediction in runtime.predict(self.waveforms, batch_size=len(self.waveforms))
            ]
            runtime.unload()
            parity = Parity(
                frames=[runtime.manifest.frames.count(len(waveform)) for waveform in self.waveforms],
                float32=self.float32,
                single=difference(self.exact, alone),
                batch=difference(self.exact, together),
                window=None if self.windows is None else self._window_difference(runtime, self.windows.cuts),
                largest_logit=self.largest,
                tolerance=self.allowed,
            )
            measured = {name: value for name, value in asdict(parity).items() if value is not None}
            for name in ("single", "batch", "window"):
                if name in measured:
                    proof.require(name, measured[name], self)
            runtime.unload()
            runtime.self_check()
        return {**measured, **_answers(self.task, self.exact * 2, alone + together)}

    def _window_difference(self, runtime: Any, cuts: list[tuple[int, int]]) -> float:
        """Run windows of the golden input, with the statistics of the whole, and compare them with the model."""
        whole, runner = self.waveforms[0], runtime.runner
        gatherer = runner.gatherer()
        gatherer.add(whole)
        outputs = runner.run_windows([whole[start:stop] for start, stop in cuts], gatherer.statistics())
        return difference(self.of_windows, outputs)


def reference(
    model: PreTrainedModel, task: Task, waveforms: list[Waveform], normalized: bool, windows: Windows | None = None
) -> HeadReference:
    """Run the model on each input, in float64 and in float32, and on windows of the first."""
    values = [torch.from_numpy(model_input(waveform, normalized)) for waveform in waveforms]

    def outputs(dtype: torch.dtype) -> Iterator[Tensor]:
        return (computed(model, task)(each.to(dtype))[0] for each in values)

    exact, error = proof.exactly(model, outputs)
    of_windows: list[Logits] = []
    if windows is not None:
        with proof.InFloat64(model):
            of_windows = list(_in_windows(model, values[0].double(), windows))
    return HeadReference(waveforms, normalized, exact, error, task, windows, of_windows)


def overlapping(samples: int, audio: Audio) -> list[tuple[int, int]]:
    """Two windows that overlap by a quarter of so many samples, at whole hops; one where two would be too short."""
    hops = samples // audio.hop
    first, second = hops * 5 // 8 * audio.hop, hops * 3 // 8 * audio.hop
    return [(0, first), (second, samples)] if first >= audio.shortest else [(0, samples)]


@torch.no_grad()
def _in_windows(model: Any, values: Tensor, windows: Windows) -> Iterator[Logits]:
    """What a model makes of parts of an input (1, samples), each from the features that the whole has there."""
    frames = windows.frames
    encoder = model.base_model
    layers = len(encoder.config.conv_dim)
    hop = prod(frames.strides[:layers])
    features, _ = encoder.feature_extractor(values)
    for start, stop in windows.cuts:
        part = features[:, start // hop : start // hop + frames.count(stop - start, layers)]
        output = encoder.encode_features(part, trace=Trace([]))
        outputs = model.head(model.mixed(output.hidden_states, output.last_hidden_state), None)
        yield outputs[0].float().numpy()


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
