"""Which candidates of a frame are one, by their keys, and which are the best."""

from typing import NamedTuple

import numpy as np

from .beams import Floats, Ints

PACKED = 13  # bits of a key that give way to an index where there are few candidates


class Merged(NamedTuple):
    """Candidates that are one: the first and the last of each, and where the members begin in `order`."""

    order: Ints
    starts: Ints
    first: Ints
    last: Ints

    @property
    def is_trivial(self) -> bool:
        """Whether no two candidates are one."""
        return len(self.starts) == len(self.order)

    def sums(self, logs: Floats) -> Floats:
        """The logarithm of the sum of each one's members."""
        ordered = logs.take(self.order)
        return ordered if self.is_trivial else np.logaddexp.reduceat(ordered, self.starts)


def merge(keys: Ints) -> Merged:
    """Candidates with one key are one. Up to 8192 candidates are told apart by the upper 51 bits of their keys."""
    count = len(keys)
    if count <= 1 << PACKED:  # sorting numbers is six times as fast as sorting their indices
        packed = (keys & -(1 << PACKED)) | np.arange(count)
        packed.sort()
        order, ordered = packed & ((1 << PACKED) - 1), packed >> PACKED
    else:
        order = keys.argsort(kind="stable")
        ordered = keys[order]
    changes = (ordered[1:] != ordered[:-1]).nonzero()[0]
    if len(changes) + 1 == count:
        return Merged(order, np.arange(count), order, order)
    starts, ends = np.empty((2, len(changes) + 1), np.int64)
    starts[0], ends[-1] = 0, count - 1
    starts[1:], ends[:-1] = changes + 1, changes
    return Merged(order, starts, order.take(starts), order.take(ends))


def largest(totals: Floats, first: Ints, width: int, below: float) -> Ints:
    """The `width` largest in order, none more than `-below` under the largest; of equals, the lower `first`."""
    kept = (totals >= totals.max() + below).nonzero()[0]
    if len(kept) > width:
        some = totals.take(kept)
        kept = kept[some >= np.partition(some, len(some) - width)[len(some) - width]]
    return kept.take(np.lexsort((first.take(kept), -totals.take(kept))))[:width]
