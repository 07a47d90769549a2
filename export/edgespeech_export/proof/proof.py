"""What the proofs of all tasks share: inputs, the yardstick, the comparison. A proof runs the real runtime here.

The yardstick is the reference model in float64. Rounding to float32 takes torch itself away from it, farther with
trained weights than with random ones; an engine, which adds up in another order, may be off by a multiple of that.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.contracts import Static
from edgespeech_runtime.bundle.manifest import Audio
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from edgespeech_export.errors import ProofError

Waveform = npt.NDArray[np.float32]
Logits = npt.NDArray[np.float32]
Arrays = Mapping[str, npt.NDArray[Any]]

GOLDEN_SECONDS = 2.0
# An engine's difference from float64 over torch's own. Measured on trained weights, on random ones, and on random ones
# with planted outliers: ONNX Runtime 0.2 to 1.9, numpy 0.4 to 2.3, OpenVINO 0.6 to 2.5; a convolution in OpenVINO
# alone, with sums of 3072 products over a constant of 128, up to 7. Wrong graphs are farther off, see the tests.
MULTIPLE = 10.0
FLOOR = 1e-4  # on logits: what is allowed at least
DEVICES = 1e-5  # of the largest logit: what a device may be off by in any case, for GPUs have rougher functions


@dataclass(frozen=True)
class Reference(ABC):
    """What the reference model says to the inputs of the proof. The model itself need not be kept for the proof.

    Attributes:
        waveforms: the inputs; the first is the golden one.
        normalized: whether the host normalises them.
        exact: the outputs in float64, rounded to float32 once they are there.
        float32: largest difference of any value when torch computes in float32.
    """

    waveforms: list[Waveform]
    normalized: bool
    exact: list[Logits]
    float32: float

    @property
    def largest(self) -> float:
        """The largest magnitude of any value."""
        return max(float(np.abs(output).max()) for output in self.exact)

    @property
    def allowed(self) -> float:
        """The difference that an engine may have."""
        return max(FLOOR, MULTIPLE * self.float32)

    @property
    def allowed_on_devices(self) -> float:
        """The difference that the self-check lets any device have."""
        return max(self.allowed, DEVICES * self.largest)

    @abstractmethod
    def again(self, model: Any) -> "Reference":
        """Ask a model the same questions, whose weights were changed."""

    @abstractmethod
    def golden(self) -> Arrays:
        """Return a short input with the output for it."""

    @abstractmethod
    def prove(self, bundle: Path) -> dict[str, object]:
        """Compare a bundle with the model and return the report.

        Raises:
            ProofError: a difference beyond what is allowed.
        """


def model_input(waveform: Waveform, normalized: bool) -> Waveform:
    """Return what the model is given for a waveform, (1, samples)."""
    return (normalize(waveform) if normalized else waveform)[None]


def golden_waveform(sampling_rate: int, shortest: int) -> Waveform:
    """Return the golden input: a voice-like buzz of gliding pitch in a little noise, float32 in [-1, 1]."""
    return _buzz(max(int(GOLDEN_SECONDS * sampling_rate), shortest), sampling_rate, seed=0)


def waveforms(audio: Audio, static: Static | None = None) -> list[Waveform]:
    """Return the golden input, and inputs whose lengths are at the edges; with `static` also at those of buckets."""
    rate, shortest, hop = audio.sampling_rate, audio.shortest, audio.hop
    long = golden_waveform(rate, shortest)
    edges = [shortest, shortest + hop - 1, shortest + hop, len(long) // 2 + 1, len(long) + 3 * hop]
    if static is not None:
        maximum = static.buckets[-1]
        edges = sorted({*edges, *static.buckets, *(bucket + 1 for bucket in static.buckets)})
        edges = [length for length in edges if shortest <= length <= maximum]
    return [long, *(_buzz(length, rate, seed) for seed, length in enumerate(edges, start=1))]


@torch.no_grad()
def exactly(model: nn.Module, outputs: Callable[[torch.dtype], Iterator[Tensor]]) -> tuple[list[Logits], float]:
    """Run a float32 model, and once more in float64: its exact outputs, and how far the first are from them.

    `outputs` runs it on one input after the other, each in the type that it is given.
    """
    plain, exact, error = list(outputs(torch.float32)), [], 0.0
    with InFloat64(model):
        for single, double in zip(plain, outputs(torch.float64), strict=True):
            error = max(error, float((double - single).abs().max()))
            exact.append(double.float().numpy())
    return exact, error


class InFloat64(TorchFunctionMode):
    """Within, a float32 model computes in float64 what it is given in float64: each weight is widened when it is used.

    So there is never more than one weight in float64, and the model stays as it is.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._weights = {id(tensor) for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch's with its weights in float64."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "__get__":  # of a shape, a type and the like
            return func(*args, **kwargs)
        if func is F.embedding:  # of the whole table, a few rows are used
            return self._wide(func(*args, **kwargs))
        return func(*map(self._widened, args), **{name: self._widened(value) for name, value in kwargs.items()})

    def _widened(self, value: Any) -> Any:
        return self._wide(value) if id(value) in self._weights else value

    @staticmethod
    def _wide(tensor: Tensor) -> Tensor:
        with torch._C.DisableTorchFunction():
            return tensor.double()


def difference(expected: list[Logits], outputs: list[Logits]) -> float:
    """Return the largest difference of any logit.

    Raises:
        ProofError: the shapes differ.
    """
    for a, b in zip(expected, outputs, strict=True):
        if a.shape != b.shape:
            raise ProofError(f"the bundle gives logits {list(b.shape)} where the reference model gives {list(a.shape)}")
    return max(float(np.abs(a - b).max()) for a, b in zip(expected, outputs, strict=True))


def require(graph: str, measured: float, reference: Reference) -> None:
    """Accept a difference.

    Raises:
        ProofError: it is beyond what is allowed.
    """
    if not measured <= reference.allowed:  # NaN is no pass
        raise ProofError(
            f"the graph {graph!r} differs from the reference model by {measured:.2g} where {reference.allowed:.2g} "
            f"is allowed: torch's own float32 is {reference.float32:.1g} from float64; no bundle was written"
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
