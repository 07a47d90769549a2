"""What the proofs of all tasks share: inputs, tolerances, and the comparison. A proof runs the real runtime here."""

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.contracts import Static
from edgespeech_runtime.manifest import Audio, FloatPrecision

from edgespeech_export.errors import ProofError

Waveform = npt.NDArray[np.float32]
Logits = npt.NDArray[np.float32]

GOLDEN_SECONDS = 2.0
FLOAT32_TOLERANCE = 1e-4  # on logits
FLOAT32_RELATIVE = 1e-5  # of the largest logit, where logits are larger than 10
FLOAT16_RELATIVE = 5e-3  # of the largest logit: weights are rounded to 11 bits


def golden_waveform(sampling_rate: int, shortest: int) -> Waveform:
    """Return the golden input: a voice-like buzz of gliding pitch in a little noise, float32 in [-1, 1]."""
    return _buzz(max(int(GOLDEN_SECONDS * sampling_rate), shortest), sampling_rate, seed=0)


def waveforms(audio: Audio, static: Static | None = None) -> list[Waveform]:
    """Return the golden input, and inputs whose lengths are at the edges; with `static` also at those of buckets."""
    rate, shortest, hop = audio.sampling_rate, audio.shortest, audio.hop
    long = golden_waveform(rate, shortest)
    edges = [shortest, shortest + hop - 1, shortest + hop, len(long) // 2 + 1, len(long) + 3 * hop]
    if static is not None:
        longest = static.buckets[-1]
        edges = sorted({*edges, *static.buckets, *(bucket + 1 for bucket in static.buckets)})
        edges = [length for length in edges if shortest <= length <= longest]
    return [long, *(_buzz(length, rate, seed) for seed, length in enumerate(edges, start=1))]


def tolerance(precision: FloatPrecision, largest_logit: float) -> float:
    """Return the difference that is allowed on logits, given the largest of them."""
    if precision == "float16":
        return FLOAT16_RELATIVE * largest_logit
    return max(FLOAT32_TOLERANCE, FLOAT32_RELATIVE * largest_logit)


def difference(expected: list[Logits], found: list[Logits]) -> float:
    """Return the largest difference of any logit.

    Raises:
        ProofError: the shapes differ.
    """
    for a, b in zip(expected, found, strict=True):
        if a.shape != b.shape:
            raise ProofError(f"the bundle gives logits {list(b.shape)} where the reference model gives {list(a.shape)}")
    return max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))


def require(graph: str, found: float, allowed: float) -> None:
    """Accept a difference.

    Raises:
        ProofError: it is beyond what is allowed.
    """
    if not found <= allowed:  # NaN is no pass
        raise ProofError(
            f"the graph {graph!r} differs from the reference model by {found:.2g} where {allowed:.2g} "
            "is allowed; no bundle was written"
        )


def _buzz(samples: int, rate: int, seed: int) -> Waveform:
    generator = np.random.default_rng(seed)
    seconds = np.arange(samples) / rate
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * seconds + seed)  # Hz
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * seconds)
    sound = 0.1 * loudness * voice + 0.01 * generator.standard_normal(samples)
    return np.asarray(sound, np.float32)
