"""Graphs of fixed shapes: which of them takes an utterance, how it is padded, and where longer audio is cut.

It counts samples and frames; it runs nothing.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..bundle.contracts import VALUES, Static
from ..bundle.manifest import Audio, Frames
from ..errors import AudioError

CONTEXT_SECONDS = 1.0  # of sound that a window has on each side of the frames that are kept of it
MOST_CONTEXT = 0.25  # of a window, on each side

Waveform = npt.NDArray[np.float32]


class Window(NamedTuple):
    """A part of a long utterance: samples `start <= n < stop`, and which of its own frames are kept."""

    start: int
    stop: int
    first: int
    last: int  # the frame after the last one that is kept


class Buckets:
    """The lengths for which a bundle has graphs."""

    def __init__(self, static: Static, audio: Audio, frames: Frames) -> None:
        self.lengths = static.buckets
        self._static, self._audio, self._frames = static, audio, frames

    def choose(self, samples: int) -> int:
        """The smallest bucket that holds so many samples. Raises AudioError where none does."""
        for bucket in self.lengths:
            if samples <= bucket:
                return bucket
        rate = self._audio.sampling_rate
        raise AudioError(
            f"expected at most {self.lengths[-1] / rate:g} s of audio, the longest that the graphs of this "
            f"bundle take, got {samples / rate:g} s: cut it at a pause, or export with a longer bucket"
        )

    def inputs(self, values: Waveform, bucket: int) -> dict[str, Waveform]:
        """What the graph of a bucket takes: (1, samples) padded with zeros, and which frames are real."""
        samples = values.shape[1]
        padded = np.zeros((1, bucket), np.float32)
        padded[:, :samples] = values
        return {
            VALUES.name: padded,
            **{f"mask.{depth}": self._mask(samples, bucket, depth) for depth in self._static.masks},
        }

    def sizes(self, bucket: int) -> dict[str, int]:
        """The sizes that follow from a bucket, by the names of axes."""
        depths = {f"frames.{depth}": self._frames.count(bucket, depth) for depth in self._static.masks}
        return {"batch": 1, "samples": bucket, "frames": self._frames.count(bucket), **depths}

    def windows(self, samples: int) -> Iterator[Window]:
        """Cut an utterance into windows that the largest bucket holds; their kept frames are those of the whole.

        A window begins at a whole number of hops, so that its frames are frames of the utterance. Neighbours overlap
        by twice the context; each keeps the frames up to the middle of the overlap. The last window is moved back until
        it is full, since a short one would have little context.
        """
        starts, longest, hop = self._starts(samples), self.lengths[-1], self._audio.hop
        cuts = [0, *((a + longest + b) // 2 // hop for a, b in itertools.pairwise(starts))]
        cuts.append(self._frames.count(samples))
        for start, (first, last) in zip(starts, itertools.pairwise(cuts), strict=True):
            yield Window(start, min(start + longest, samples), first - start // hop, last - start // hop)

    def _starts(self, samples: int) -> list[int]:
        longest, hop = self.lengths[-1], self._audio.hop
        context = int(min(CONTEXT_SECONDS * self._audio.sampling_rate, MOST_CONTEXT * longest))
        step = max((longest - 2 * context) // hop, 1) * hop
        starts = [0]
        while starts[-1] + longest < samples:
            starts.append(min(starts[-1] + step, -(-(samples - longest) // hop) * hop))
        return starts

    def _mask(self, samples: int, bucket: int, depth: int) -> Waveform:
        """(1, frames), 1 on the frames of an utterance and 0 on those behind it."""
        is_real = np.arange(self._frames.count(bucket, depth)) < self._frames.count(samples, depth)
        return is_real.astype(np.float32)[None]
