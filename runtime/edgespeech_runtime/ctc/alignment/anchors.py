"""Where a long text and a long recording certainly meet, so that the alignment of an hour falls into small pieces.

What the model recognises without the text is compared with the text: runs of letters that both have, in the longest
chain in which neither goes back (Hunt and Szymanski 1977, on runs of letters instead of lines). In the middle of a run
that is the most probable one in every frame, no path that goes through the run at all has anything better.
"""

from bisect import bisect_left
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .trellis import Ids

RUNS = (14, 10)  # letters that both have, first over the whole, then where nothing was known
PAIRS = 300_000  # runs that are compared with all of their likes
MIX = 0x9E3779B97F4A7C15  # an odd number: makes different hashes of runs with the same letters in another order


def meeting_points(recognised: Ids, given: Ids, far: int) -> tuple[Ids, Ids]:
    """Places of equal letters in both sequences, the middles of runs, in order: `[points]` of each.

    Where two of them are more than `far` letters apart, shorter runs are looked for between them.
    """
    points = [(0, 0), (len(recognised), len(given))]
    for run in RUNS:
        points = [point for part in pairwise(points) for point in _between(recognised, given, part, run, far)]
        points.append((len(recognised), len(given)))
    inner = np.array(points[1:-1], np.int64).reshape(-1, 2)
    return inner[:, 0], inner[:, 1]


Part = tuple[tuple[int, int], tuple[int, int]]


def _between(recognised: Ids, given: Ids, part: Part, run: int, far: int) -> list[tuple[int, int]]:
    """The first point of a part and those that are between its two, if it is wide."""
    (first, start), (last, stop) = part
    if last - first <= far and stop - start <= far:
        return [part[0]]
    left, right = _chain(_hashes(recognised[first:last], run), _hashes(given[start:stop], run))
    half = run // 2
    inner = zip((left + first + half).tolist(), (right + start + half).tolist(), strict=True)
    return [part[0], *((i, j) for i, j in inner if i > first and j > start)]


def _hashes(letters: Ids, run: int) -> npt.NDArray[np.uint64]:
    """A number for each run of letters, `[letters - run + 1]`; equal runs have equal ones."""
    count = max(0, len(letters) - run + 1)
    values = (letters.astype(np.uint64) + np.uint64(1)) * np.uint64(MIX)
    values ^= values >> np.uint64(29)
    total, factor = np.zeros(count, np.uint64), 1
    for offset in range(run):
        factor = factor * (MIX ^ 0x5851F42D4C957F2D | 1) % 2**64
        total += values[offset : offset + count] * np.uint64(factor)
    return total


def _chain(left: npt.NDArray[np.uint64], right: npt.NDArray[np.uint64]) -> tuple[Ids, Ids]:
    """The longest chain of equal values that rises in both sequences: places in the left and in the right one."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    low, high = np.searchsorted(ordered, left, "left"), np.searchsorted(ordered, left, "right")
    total = int((high - low).sum())
    places = np.flatnonzero(high > low)[:: 1 + total // PAIRS]
    ends: list[int] = []  # the lowest place in the right one at which a chain of each length ends
    ends_at: list[int] = []  # its link
    links: list[tuple[int, int, int]] = []  # left place, right place, the link before
    for place, first, last in zip(places.tolist(), low[places].tolist(), high[places].tolist(), strict=True):
        for target in order[first:last][::-1].tolist():
            length = bisect_left(ends, target)
            links.append((place, target, ends_at[length - 1] if length else -1))
            if length == len(ends):
                ends.append(target)
                ends_at.append(len(links) - 1)
            else:
                ends[length], ends_at[length] = target, len(links) - 1
    chain, link = [], ends_at[-1] if ends_at else -1
    while link >= 0:
        chain.append(links[link][:2])
        link = links[link][2]
    found = np.array(chain[::-1], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
