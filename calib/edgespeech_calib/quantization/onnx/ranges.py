"""Ranges of activations, learnt from a stream of values: min-max, percentile, entropy.

Memory does not grow with what is seen, and the same stream gives the same range. Which activations these are, and where
their values come from, is not known here.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgespeech.choices import Ranges
from edgespeech_calib.quantization.options import Types

Floats: TypeAlias = npt.NDArray[np.floating[Any]]

STEPS = 255  # between 256 integers
BINS = 4096  # of a histogram, even
KEPT = 0.9999  # of the values, for "percentile"
CANDIDATES = 64  # ranges that "entropy" chooses from
NARROWEST = 0.05  # of them, as a fraction of the largest magnitude


@dataclass(frozen=True)
class Range:
    """From the least to the greatest value that 8 bits shall tell apart."""

    low: float
    high: float

    def __or__(self, other: "Range") -> "Range":
        return Range(min(self.low, other.low), max(self.high, other.high))


def scale_and_zero(limits: Range, types: Types) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Return the step between two integers and the integer that stands for 0, as scalars; 0 is in every range."""
    low, high = min(limits.low, 0.0), max(limits.high, 0.0)
    bottom, dtype = (-128, np.int8) if types.activation == "int8" else (0, np.uint8)
    scale = np.float32((high - low) / STEPS)
    if scale < np.finfo(np.float32).tiny:
        return np.array(1.0, np.float32), np.array(bottom + 128, dtype)
    zero = np.clip(np.rint(bottom - low / float(scale)), bottom, bottom + STEPS)
    return np.array(scale, np.float32), np.array(zero, dtype)


class Observer:
    """What has been seen of one activation: its extremes and, unless min-max is all that is asked, a histogram.

    The histogram spans [-reach, reach]. Where a value lies beyond, the reach doubles and bins merge in pairs, so that
    the counts depend on the values alone and not on a first pass over the data.
    """

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.reach = 0.0
        self.counts = np.zeros(BINS, np.int64)

    @property
    def has_seen(self) -> bool:
        """Whether there was any value."""
        return self.low <= self.high

    def see(self, low: float, high: float, sample: Floats | None = None) -> None:
        """Take in the extremes of some values and a sample of them."""
        self.low, self.high = min(self.low, low), max(self.high, high)
        if sample is None or not sample.size:
            return
        peak = float(np.abs(sample).max())
        if self.reach == 0.0:
            self.reach = float(2.0 ** np.ceil(np.log2(max(peak, 1e-6))))
        while peak > self.reach:
            self._double()
        positions = (sample.astype(np.float64) / self.reach + 1) * (BINS / 2)
        self.counts += np.bincount(np.minimum(positions.astype(np.int64), BINS - 1), minlength=BINS)

    def range(self, method: Ranges) -> Range:
        """Return the range by one of the methods; nothing seen gives [0, 0]."""
        if not self.has_seen:
            return Range(0.0, 0.0)
        whole = Range(float(self.low), float(self.high))
        if method == "minmax" or not self.counts.any():
            return whole
        bound = self._percentile() if method == "percentile" else self._entropy()
        return Range(max(whole.low, bound.low), min(whole.high, bound.high))

    def _double(self) -> None:
        merged = self.counts.reshape(-1, 2).sum(1)
        self.counts = np.concatenate([np.zeros(BINS // 4, np.int64), merged, np.zeros(BINS // 4, np.int64)])
        self.reach *= 2

    def _edges(self) -> Floats:
        edges: Floats = np.linspace(-self.reach, self.reach, BINS + 1)
        return edges

    def _percentile(self) -> Range:
        """The range that leaves out half of the rest at either end."""
        share = np.cumsum(self.counts) / self.counts.sum()
        left_out = (1 - KEPT) / 2
        edges = self._edges()
        first, last = np.searchsorted(share, left_out, "right"), np.searchsorted(share, 1 - left_out, "left")
        return Range(float(edges[first]), float(edges[last + 1]))

    def _entropy(self) -> Range:
        """The range whose quantized distribution differs least from the true one, by Kullback-Leibler divergence.

        As in TensorRT's calibration (Migacz, "8-bit Inference with TensorRT", GTC 2017): magnitudes beyond a threshold
        are cut off. Here a side that does not reach it keeps its end, because activations are not symmetric.
        """
        edges, occupied = self._edges(), np.flatnonzero(self.counts)
        low, high = edges[occupied[0]], edges[occupied[-1] + 1]
        thresholds = max(-low, high) * np.geomspace(1.0, NARROWEST, CANDIDATES)
        candidates = [Range(float(max(low, -t)), float(min(high, t))) for t in thresholds]
        return min(candidates, key=self._divergence)

    def _divergence(self, limits: Range) -> float:
        width = 2 * self.reach / BINS
        first = int(np.floor((limits.low + self.reach) / width))
        last = max(int(np.ceil((limits.high + self.reach) / width)), first + 1)
        inside = self.counts[first:last].astype(np.float64)
        true = inside.copy()
        true[0] += self.counts[:first].sum()  # values beyond are cut off to the ends
        true[-1] += self.counts[last:].sum()
        step = np.minimum(np.arange(len(inside)) * (STEPS + 1) // len(inside), STEPS)
        sums, filled = (np.bincount(step, part, STEPS + 1) for part in (inside, (inside > 0).astype(np.float64)))
        coarse = np.where(inside > 0, (sums / np.maximum(filled, 1))[step], 0.0)
        if not coarse.sum():
            return float("inf")
        true, coarse = true / true.sum(), coarse / coarse.sum()
        seen = true > 0
        return float((true[seen] * np.log(true[seen] / np.maximum(coarse[seen], 1e-12))).sum())
