"""Where a long text and a long recording certainly meet, so that the alignment of an hour falls into small pieces.

What the model recognises without the text is compared with the text: runs of letters that both have, in the longest
chain in which neither goes back and both go on at the same pace, as far as they do. In the middle of a run
that is the most probable one in every frame, no path that goes through the run at all has anything better.
"""

from bisect import bisect_left
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .trellis import Ids

RUNS = (14, 10)  # letters that both have, first over the whole, then where nothing was known
LIKES = 6  # equal runs of the other sequence that a run may be: those nearest to where it would be at an even pace
CHAINS = 8  # that are followed at a time
UNEVEN, LEAP = 0.05, 4.0  # links that a letter costs by which one sequence goes further than the other; at most
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
    """The best chain of equal values that rises in both sequences: places in the left and in the right one.

    Every link counts one, less what it costs that one sequence went further since the last link than the other did.
    """
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    low, high = np.searchsorted(ordered, left, "left"), np.searchsorted(ordered, left, "right")
    positions = np.flatnonzero(high > low)
    pace, sorted_positions = len(right) / max(1, len(left)), order.tolist()
    links: list[tuple[int, int, int]] = [(-1, -1, -1)]  # left place, right place, the link before
    ends: dict[int, tuple[float, int]] = {0: (0.0, 0)}  # by how far the right is ahead: the best chain that ends there
    for position, first, last in zip(
        positions.tolist(), low[positions].tolist(), high[positions].tolist(), strict=True
    ):
        if last - first > LIKES:
            middle = bisect_left(sorted_positions, int(position * pace), first, last)
            first = min(max(first, middle - LIKES // 2), last - LIKES)
            last = first + LIKES
        ends_of_chains = [
            (target, *_best(ends, links, target, target - position)) for target in sorted_positions[first:last]
        ]
        for target, score, link in ends_of_chains:
            links.append((position, target, link))
            ends[target - position] = (score + 1, len(links) - 1)
        if len(ends) > 2 * CHAINS:
            ends = dict(sorted(ends.items(), key=lambda end: -end[1][0])[:CHAINS])
    _, link = _best(ends, links, len(right), len(right) - len(left))
    chain = []
    while link > 0:
        chain.append(links[link][:2])
        link = links[link][2]
    points = np.array(chain[::-1], np.int64).reshape(-1, 2)
    return points[:, 0], points[:, 1]


def _best(
    ends: dict[int, tuple[float, int]], links: list[tuple[int, int, int]], target: int, ahead: int
) -> tuple[float, int]:
    """The score of the best chain that can go on at a place of the right sequence, and its last link."""
    best, best_link = -1.0 - LEAP, 0
    for other, (score, link) in ends.items():
        score -= min(LEAP, UNEVEN * abs(ahead - other))
        if score > best and links[link][1] < target:
            best, best_link = score, link
    return best, best_link
