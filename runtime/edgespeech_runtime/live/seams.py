"""Where the frames of one window end and those of the next begin, so that no word is lost, doubled or joined.

Two windows see the same frames with different sound around them, and may write a token a few frames apart. So one hands
over to the other between two words, where the blank is certain.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MARGIN = 10  # frames before the first token of an utterance, 0.2 s in most models

Tokens = npt.NDArray[np.int64]


class Kinds(NamedTuple):
    """The tokens that a seam must know: `silent` ones write nothing, `delimiter` parts words (None: nothing does)."""

    silent: frozenset[int]
    delimiter: int | None

    def writes(self, ids: Tokens) -> npt.NDArray[np.bool_]:
        """Which frames, `[frames]`, say something."""
        return ~np.isin(ids, [*self.silent, *([] if self.delimiter is None else [self.delimiter])])

    def is_open(self, ids: Tokens, before: bool) -> bool:
        """Whether a word may go on behind these frames; `before` says it of the frames before them."""
        writes = np.flatnonzero(self.writes(ids))
        ends = np.flatnonzero(ids == self.delimiter)
        if not len(ends):
            return before or len(writes) > 0
        return len(writes) > 0 and bool(writes[-1] > ends[-1])


def seam(ids: Tokens, limit: int, kinds: Kinds, is_open: bool) -> int:
    """The last frame, 0 to `limit`, before which all may be handed over: the first one that is not.

    `ids` are the best tokens of frames from the last seam on, those behind `limit` with too little sound behind them.
    `is_open` says that a word had begun before them. 0 where there is no seam.
    """
    limit = min(limit, len(ids))
    if limit <= 0:
        return 0
    writes = kinds.writes(ids)
    if kinds.delimiter is None:
        return _between_tokens(ids, writes, limit)
    ends = np.flatnonzero(ids[:limit] == kinds.delimiter)
    if not len(ends):
        first = np.flatnonzero(writes)
        return 0 if is_open else min(limit, _before(first[0]) if len(first) else limit)
    after = int(ends[-1]) + 1
    following = np.flatnonzero(writes[after:])
    return max(after, min(limit, after + int(following[0]) // 2 if len(following) else limit))


def forced(ids: Tokens, limit: int, kinds: Kinds) -> int:
    """The best frame, 1 to `limit`, where there is no seam: in the last silence, or at the limit."""
    return _between_tokens(ids, kinds.writes(ids), max(1, min(limit, len(ids)))) or limit


def _between_tokens(ids: Tokens, writes: npt.NDArray[np.bool_], limit: int) -> int:
    """The middle of the last run of at least three silent frames that begins before the limit; 0 for none."""
    silent = np.concatenate([[False], ~writes, [False]])
    starts, stops = np.flatnonzero(~silent[:-1] & silent[1:]), np.flatnonzero(silent[:-1] & ~silent[1:])
    for start, stop in zip(starts[::-1].tolist(), stops[::-1].tolist(), strict=True):
        if stop - start >= 3 and start < limit:
            return min((start + stop) // 2, limit) if stop < len(ids) else min(limit, stop)
    return 0


def _before(frame: int) -> int:
    """A little before a token, which another window may write earlier."""
    return max(0, int(frame) - MARGIN)
