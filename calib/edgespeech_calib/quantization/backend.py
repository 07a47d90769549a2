"""What an engine's side of quantization does. The front decides what is quantized; a backend knows how."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.manifest import Graph

from edgespeech_calib.quantization.search.layers import Layer

Values: TypeAlias = npt.NDArray[np.float32]  # (1, samples), normalised as the graph takes it
Utterances: TypeAlias = Callable[[], Iterator[Values]]  # reads one at a time; call it again for another pass
Note: TypeAlias = Callable[[str], None]


def spaced(utterances: Utterances, most: int) -> Utterances:
    """At most so many of the utterances, evenly spaced."""
    step = max(math.ceil(sum(1 for _ in utterances()) / most), 1)
    return lambda: islice(utterances(), 0, None, step)


@dataclass(frozen=True)
class IntegerShare:
    """How much of a graph's work the engine really does with quantized numbers, by its own account.

    Attributes:
        integer_macs, total_macs: multiply-accumulates on the utterance that was run; see `weights`.
        floating: names of layers that ran in float although they are stored as integers.
        weights: fraction of all weights that is stored as integers, for an engine that computes in float; the macs are
            then those with such weights, and those with weights that could be. None for engines that compute in
            integers.
    """

    integer_macs: int
    total_macs: int
    floating: tuple[str, ...] = ()
    weights: float | None = None

    @property
    def share(self) -> float:
        """Fraction of the multiply-accumulates."""
        return self.integer_macs / max(self.total_macs, 1)

    @property
    def reported(self) -> float:
        """What a bundle says of it: the fraction of the weights where there is one, else `share`."""
        return self.share if self.weights is None else self.weights


class EncoderBackend(Protocol):
    """Quantizes the graphs that take audio: of a CTC bundle all, of an encoder-decoder's `encoder` and `encoder_batch`.

    What is decided on the graph for one utterance holds for those of padded batches too, layer by layer.
    """

    layers: tuple[Layer, ...]  # in the order of the network

    def calibrate(self, utterances: Utterances, note: Note) -> None:
        """Learn the ranges of activations; memory does not grow with the number of utterances."""

    def noise(self, utterances: Utterances) -> dict[str, float]:
        """Return the signal-to-quantization-noise ratio of each layer's output, in dB, where it alone is quantized."""

    def damage(self, utterances: Utterances) -> dict[str, float]:
        """Return the power of the noise that each layer puts into the outputs if it alone is quantized, over theirs.

        Empty where that is not measured: then `noise` has to do.
        """

    def write(self, folder: Path, floating: frozenset[str]) -> dict[str, Graph]:
        """Write the graphs with all layers quantized but those named; may be called again with others."""

    def integer_share(self, folder: Path, values: Values) -> IntegerShare:
        """Run what was written on an utterance under the engine's profiler."""


class DecoderBackend(Protocol):
    """Quantizes the weights of the graph `decoder` of an encoder-decoder's bundle."""

    layers: tuple[Layer, ...]  # that can be in float, in the order of the graph; `macs` are those of one token

    def write(self, folder: Path, floating: frozenset[str] = frozenset()) -> dict[str, Graph]:
        """Write the graph beside those of the encoder, over the same file of weights, with layers in float."""

    def integer_share(self, folder: Path) -> IntegerShare:
        """Run what was written for a few tokens under the engine's profiler."""
