"""Which candidates of a frame are one, by their keys, and which are the best."""

from typing import NamedTuple

import numpy as np

from .beams import Floats, Ints

PACKED = 13  # bits of a key that give way to an index where there are few candidates
INDICES = np.arange(1 << PACKED)
INDEX, KEY = (1 << PACKED) - 1, -(1 << PACKED)


class Merged(NamedTuple):
    """Candidates that are one: the first and the last of each, and where the members begin in `order`."""

    order: Ints
    starts: Ints | None
    first: Ints
    last: Ints

    def sums(self, logs: Floats) -> Floats:
        """The logarithm of the sum of each one's members."""
        ordered = logs.take(self.order)
        return ordered if self.starts is None else np.logaddexp.reduceat(ordered, self.starts)


def merge(keys: Ints) -> Merged:
    """Candidates with one key are one. Up to 8192 candidates are told apart by the upper 51 bits of their keys."""
    count = len(keys)
    if count <= 1 << PACKED:  # sorting numbers is six times as fast as sorting their indices
        packed = keys & KEY
        packed |= INDICES[:count]
        packed.sort()
        order = packed & INDEX
        packed >>= PACKED
    else:
        order = keys.argsort(kind="stable")
        packed = keys[order]
    changes = (packed[1:] != packed[:-1]).nonzero()[0]
    if len(changes) + 1 == count:
        return Merged(order, None, order, order)
    bounds = np.empty(len(changes) + 2, np.int64)
    bounds[0], bounds[-1] = 0, count
    bounds[1:-1] = changes
    bounds[1:-1] += 1
    starts = bounds[:-1]
    return Merged(order, starts, order.take(starts), order.take(bounds[1:] - 1))


def apart(count: int) -> Merged:
    """Candidates no two of which are one."""
    order = INDICES[:count] if count <= len(INDICES) else np.arange(count)
    return Merged(order, None, order, order)


def largest(totals: Floats, first: Ints, width: int, below: float) -> Ints:
    """The `width` largest in order, none more than `-below` under the largest; of equals, the lower `first`."""
    kept = (totals >= totals.item(totals.argmax()) + below).nonzero()[0]
    some = totals.take(kept)
    if len(kept) > width:
        kept = kept.take((some >= np.partition(some, len(some) - width).item(len(some) - width)).nonzero()[0])
        some = totals.take(kept)
    return kept.take(np.lexsort((first.take(kept), -some)))[:width]
