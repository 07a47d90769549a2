"""Lengths of graphs of fixed shapes that follow from lengths of speech: those with which least is padded.

It counts samples; it reads no sound and writes no graph.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.manifest import Audio

from edgespeech.choices import BUCKET_COUNT, LONGEST_BUCKET
from edgespeech_export.errors import ExportError
from edgespeech_export.proof.proof import GOLDEN_SECONDS


@dataclass(frozen=True)
class Lengths:
    """Lengths of recordings like those that the bundle is for, by which buckets are chosen.

    Attributes:
        seconds: of each recording.
        name: of the set that they are from.
        count: of buckets, at most; fewer where as few serve as well.
        longest: seconds that no bucket exceeds, but for the rest of its last frame. Of longer recordings a CTC model
            takes windows; an encoder-decoder refuses them.
    """

    seconds: tuple[float, ...] = field(repr=False)
    name: str = ""
    count: int = BUCKET_COUNT
    longest: float = LONGEST_BUCKET

    def __post_init__(self) -> None:
        if not self.seconds or not all(0 < second < math.inf for second in self.seconds):
            raise ExportError("buckets are chosen by lengths of recordings in seconds, above 0; got none, or others")
        if self.count < 1:
            raise ExportError(f"there must be at least 1 bucket, got {self.count}")
        if not GOLDEN_SECONDS <= self.longest < math.inf:
            needed = f"the {GOLDEN_SECONDS:g} s of a bundle's self-check"
            raise ExportError(f"the longest bucket must hold {needed}, got {self.longest:g} s")

    def buckets(self, audio: Audio) -> tuple[int, ...]:
        """Return the buckets in samples, ascending."""
        top = math.ceil(max(GOLDEN_SECONDS, min(max(self.seconds), self.longest)) * audio.sampling_rate - 1e-6)
        return choose_buckets(self._samples(audio), self.count, audio.hop, audio.shortest, top)

    def facts(self, audio: Audio, buckets: Sequence[int]) -> dict[str, Any]:
        """What a bundle says of the choice; `padding` is the share of padding in all that the buckets take."""
        samples, lengths = self._samples(audio), np.asarray(buckets)
        longest = lengths[-1]
        fitting = samples[samples <= longest]
        taken = lengths[np.searchsorted(lengths, fitting)].sum() + longest * (len(samples) - len(fitting))
        padding = 1 - np.minimum(samples, longest).sum() / taken
        return {
            "set": Path(self.name).name,
            "recordings": len(self.seconds),
            "seconds": round(sum(self.seconds), 3),
            "padding": round(float(padding), 4),
            "longer": len(samples) - len(fitting),
        }

    def _samples(self, audio: Audio) -> npt.NDArray[np.int64]:
        samples: npt.NDArray[np.int64] = np.ceil(np.array(self.seconds) * audio.sampling_rate - 1e-6).astype(np.int64)
        return samples


def choose_buckets(
    samples: Sequence[int] | npt.NDArray[np.int64], count: int, hop: int, shortest: int, longest: int
) -> tuple[int, ...]:
    """Return at most `count` lengths, ascending, that pad these recordings with the fewest samples in all.

    Each is a whole number of hops. A recording goes to the smallest that holds it; what is longer than the last one
    fills that. Exact, by dynamic programming over the distinct lengths: the least padding of the first j of them in k
    buckets is that of the first i in k - 1, plus that of those between in a bucket of the j-th, over the best i.

    Args:
        samples: lengths of recordings.
        count: buckets.
        hop: samples of a frame.
        shortest: samples that a bucket must hold at least.
        longest: samples that the longest bucket holds, rounded up to whole hops.

    Returns:
        The last is always `longest`, rounded.
    """
    last = -(-max(longest, shortest) // hop)  # in hops from here on
    hops = -(-np.clip(np.asarray(samples, np.int64), shortest, last * hop) // hop)
    lengths, weights = np.unique(np.append(hops, last), return_counts=True)
    weights[-1] -= 1  # `last` itself is no recording
    before = np.concatenate(([0], np.cumsum(weights)))  # recordings among the first j lengths
    size = len(lengths)
    cost = np.concatenate(([0], lengths * before[1:]))  # taken by the first j in one bucket
    choices = []
    for _ in range(count - 1):
        best = np.zeros(size, np.int64)
        following = np.zeros_like(cost)
        for j in range(size):  # the first i in fewer buckets, the rest of the first j + 1 in one of the last's length
            taken = cost[: j + 1] + lengths[j] * (before[j + 1] - before[: j + 1])
            best[j] = taken.argmin()
            following[j + 1] = taken[best[j]]
        choices.append(best)
        cost = following
    buckets, end = [last], size - 1
    for choice in reversed(choices):
        end = int(choice[end]) - 1
        if end < 0:
            break
        buckets.append(int(lengths[end]))
    return tuple(int(length) * hop for length in reversed(buckets))
