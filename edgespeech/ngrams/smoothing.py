"""From adjusted counts to probabilities and back-off weights: interpolated modified Kneser-Ney (Chen and Goodman 1998),
with the mass of pruned n-grams given to the shorter ones, as in KenLM's lmplz (Heafield et al. 2013).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .counting import Ids
from .discounts import Discount
from .partitions import Records, records

SMALLEST = 1e-99  # written as -99, which stands for zero in ARPA files
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Weighted:
    """N-grams that remain `[count, n]`, with their discounted probabilities and the weights of the shorter ones."""

    ids: Ids
    probabilities: Floats
    weights: Floats


def weigh(loaded: Records, discount: Discount) -> tuple[Weighted, Ids, Floats]:
    """Discount n-grams of one order that share contexts; also give the contexts and the weight of each.

    A context's weight is what its discounts and its pruned n-grams leave, over the count of all of them.
    """
    columns = loaded["ids"].T
    loaded = loaded[np.lexsort(columns[-2::-1])] if len(columns) > 1 else loaded
    ids, counts, is_pruned = loaded["ids"], loaded["count"], loaded["is_pruned"]
    is_first = np.zeros(len(ids), bool)
    is_first[0] = True
    is_first[1:] = (ids[1:, :-1] != ids[:-1, :-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    amounts = np.array([0.0, *discount])[np.minimum(counts, 3)]
    totals = np.add.reduceat(counts, starts).astype(np.float64)
    left = np.add.reduceat(np.where(is_pruned, counts, amounts), starts)
    weights = left / totals
    groups = np.cumsum(is_first) - 1
    kept = ~is_pruned
    probabilities = (counts - amounts) / totals[groups]
    weighted = Weighted(ids[kept], probabilities[kept], weights[groups][kept])
    return weighted, ids[starts, :-1], weights


class Level:
    """N-grams of one order that end in the words of one partition, found by their endings.

    An n-gram's key is the index of its last n - 1 words among those of the order below, times the size of the
    vocabulary, plus its first word.
    """

    def __init__(self, keys: Indices, ids: Ids, probabilities: Floats) -> None:
        positions = np.argsort(keys, kind="stable")
        self.keys, self.ids, self.probabilities = keys[positions], ids[positions], probabilities[positions]


def find(ids: Ids, levels: list[Level], words: int) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Indices of n-grams among those of their order, and which are there; `levels` are those of order 2 and up."""
    index = ids[:, -1].astype(np.int64)
    is_there = np.ones(len(ids), bool)
    for level, column in zip(levels, range(ids.shape[1] - 2, -1, -1), strict=False):
        keys = index * words + ids[:, column]
        index = np.searchsorted(level.keys, keys)
        is_there &= np.append(level.keys, -1)[index] == keys
    return index, is_there


def interpolate(weighted: Weighted, below: Floats, levels: list[Level], words: int) -> Level:
    """Add the weighted probabilities of the endings, `below`, which are those of the last of `levels` (or of words)."""
    endings, _ = find(weighted.ids[:, 1:], levels, words)
    probabilities = weighted.probabilities + weighted.weights * below[endings]
    return Level(endings * words + weighted.ids[:, 0], weighted.ids, probabilities)


def section(ids: Ids, probabilities: Floats, backoffs: Floats) -> Records:
    """Log10 probabilities, at most 0, and log10 back-off weights as they are written."""
    logs = np.minimum(np.log10(np.maximum(probabilities, SMALLEST)), 0).astype(np.float32)
    return records(ids, probability=logs, backoff=np.log10(np.maximum(backoffs, SMALLEST)).astype(np.float32))
