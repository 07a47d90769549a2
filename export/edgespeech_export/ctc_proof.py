"""Proof that a CTC bundle computes what the reference model computes."""

from dataclasses import asdict, dataclass
from pathlib import Path

import edgespeech_runtime
import numpy as np
import torch
from edgespeech_runtime.manifest import FloatPrecision
from edgespeech_runtime.waveform import normalize

from edgespeech.models.ctc import SpeechForCTC
from edgespeech_export import proof
from edgespeech_export.errors import ProofError
from edgespeech_export.proof import Logits, Waveform, difference


@dataclass(frozen=True)
class Parity:
    """What was compared and how it came out: the largest difference of any logit from the reference model's."""

    frames: list[int]  # of each utterance
    single: float
    batch: float
    largest_logit: float
    tolerance: float
    same_tokens: bool  # the most probable token of each frame is the reference's


def prove(bundle: Path, model: SpeechForCTC, precision: FloatPrecision) -> Parity:
    """Compare the bundle with the model: golden input, lengths at the edges alone, and all of them as one padded batch.

    Raises:
        ProofError: a difference beyond the tolerance; the message says where and by how much.
    """
    with edgespeech_runtime.load(bundle, self_check="never") as runtime:
        if not isinstance(runtime, edgespeech_runtime.CtcModel):
            raise ProofError(f"{bundle.name} opens as another kind of model; no bundle was written")
        facts = runtime.manifest.audio
        waveforms = proof.waveforms(facts, runtime.manifest.static)
        expected = [_reference(model, waveform, facts.normalize) for waveform in waveforms]
        alone = [runtime.logits(waveform) for waveform in waveforms]
        together = runtime.logits(waveforms, batch_size=len(waveforms))
        parity = _compared(expected, alone, together, precision)
        for name in ("single", "batch"):
            proof.require(name, getattr(parity, name), parity.tolerance)
        runtime.self_check()
    return parity


def _compared(expected: list[Logits], alone: list[Logits], together: list[Logits], precision: FloatPrecision) -> Parity:
    largest = max(float(np.abs(logits).max()) for logits in expected)
    return Parity(
        frames=[len(logits) for logits in expected],
        single=difference(expected, alone),
        batch=difference(expected, together),
        largest_logit=largest,
        tolerance=proof.tolerance(precision, largest),
        same_tokens=all(
            np.array_equal(a.argmax(-1), b.argmax(-1)) for a, b in zip(expected * 2, alone + together, strict=True)
        ),
    )


def report(parity: Parity) -> dict[str, object]:
    """Return the proof for the manifest."""
    return asdict(parity)


def _reference(model: SpeechForCTC, waveform: Waveform, normalized: bool) -> Logits:
    values = torch.from_numpy(normalize(waveform) if normalized else waveform)
    with torch.inference_mode():
        logits: Logits = model.logits(values[None])[0].numpy()
    return logits
