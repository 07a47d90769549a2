"""Proof that a bundle computes what the reference model computes, by the real runtime on this machine."""

from dataclasses import asdict, dataclass
from pathlib import Path

import edgespeech_runtime
import numpy as np
import numpy.typing as npt
import torch
from edgespeech_runtime.manifest import Precision
from edgespeech_runtime.waveform import normalize

from edgespeech.models.ctc import SpeechForCTC
from edgespeech_export.errors import ProofError

Waveform = npt.NDArray[np.float32]
Logits = npt.NDArray[np.float32]

GOLDEN_SECONDS = 2.0
FLOAT32_TOLERANCE = 1e-4  # on logits
FLOAT32_RELATIVE = 1e-5  # of the largest logit, where logits are larger than 10
FLOAT16_RELATIVE = 5e-3  # of the largest logit: weights are rounded to 11 bits


@dataclass(frozen=True)
class Parity:
    """What was compared and how it came out: the largest difference of any logit from the reference model's."""

    frames: list[int]  # of each utterance
    single: float
    batch: float
    largest_logit: float
    tolerance: float
    same_tokens: bool  # the most probable token of each frame is the reference's


def golden_waveform(sampling_rate: int, shortest: int) -> Waveform:
    """Return the golden input: a voice-like buzz of gliding pitch in a little noise, float32 in [-1, 1]."""
    return _buzz(max(int(GOLDEN_SECONDS * sampling_rate), shortest), sampling_rate, seed=0)


def prove(bundle: Path, model: SpeechForCTC, precision: Precision) -> Parity:
    """Compare the bundle with the model: golden input, lengths at the edges alone, and all of them as one padded batch.

    Raises:
        ProofError: a difference beyond the tolerance; the message says where and by how much.
    """
    with edgespeech_runtime.load(bundle) as runtime:
        facts = runtime.manifest.audio
        waveforms = _waveforms(facts.sampling_rate, facts.shortest, facts.hop)
        expected = [_reference(model, waveform, facts.normalize) for waveform in waveforms]
        alone = [runtime.logits(waveform) for waveform in waveforms]
        together = runtime.logits(waveforms, batch_size=len(waveforms))
        parity = _compared(expected, alone, together, precision)
        for name in ("single", "batch"):
            found = getattr(parity, name)
            if not found <= parity.tolerance:  # NaN is no pass
                raise ProofError(
                    f"the graph {name!r} differs from the reference model by {found:.2g} where {parity.tolerance:.2g} "
                    "is allowed; no bundle was written"
                )
        runtime.self_check()
    return parity


def _compared(expected: list[Logits], alone: list[Logits], together: list[Logits], precision: Precision) -> Parity:
    largest = max(float(np.abs(logits).max()) for logits in expected)
    return Parity(
        frames=[len(logits) for logits in expected],
        single=_difference(expected, alone),
        batch=_difference(expected, together),
        largest_logit=largest,
        tolerance=tolerance(precision, largest),
        same_tokens=all(
            np.array_equal(a.argmax(-1), b.argmax(-1)) for a, b in zip(expected * 2, alone + together, strict=True)
        ),
    )


def tolerance(precision: Precision, largest_logit: float) -> float:
    """The difference that is allowed on logits, given the largest of them."""
    if precision == "float16":
        return FLOAT16_RELATIVE * largest_logit
    return max(FLOAT32_TOLERANCE, FLOAT32_RELATIVE * largest_logit)


def report(parity: Parity) -> dict[str, object]:
    """Return the proof for the manifest."""
    return asdict(parity)


def _waveforms(rate: int, shortest: int, hop: int) -> list[Waveform]:
    long = golden_waveform(rate, shortest)
    edges = (shortest, shortest + hop - 1, shortest + hop, len(long) // 2 + 1, len(long) + 3 * hop)
    return [long, *(_buzz(length, rate, seed) for seed, length in enumerate(edges, start=1))]


def _reference(model: SpeechForCTC, waveform: Waveform, normalized: bool) -> Logits:
    values = torch.from_numpy(normalize(waveform) if normalized else waveform)
    with torch.inference_mode():
        logits: Logits = model.logits(values[None])[0].numpy()
    return logits


def _difference(expected: list[Logits], found: list[Logits]) -> float:
    for a, b in zip(expected, found, strict=True):
        if a.shape != b.shape:
            raise ProofError(f"the bundle gives logits {list(b.shape)} where the reference model gives {list(a.shape)}")
    return max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))


def _buzz(samples: int, rate: int, seed: int) -> Waveform:
    generator = np.random.default_rng(seed)
    seconds = np.arange(samples) / rate
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * seconds + seed)  # Hz
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * seconds)
    sound = 0.1 * loudness * voice + 0.01 * generator.standard_normal(samples)
    return np.asarray(sound, np.float32)
