"""The recurrence of a forced CTC alignment, for many pieces of audio at a time. It decides nothing about texts.

A text of `tokens` tokens has 2 tokens + 1 states: a blank before each token and one behind the last. Blank `j` has the
number 2 j, token `j` the number 2 j + 1. From one frame to the next a path stays, goes on by one state, or goes over a
blank from token to token where the two differ (Graves et al. 2006, section 4.1). Of ways in with equal scores the one
with the fewest states is taken: to stay, then to go on by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """The frames `first <= frame < first + frames` of a recording and the tokens that are to be put there.

    `blank_floor` `[tokens + 1]` and `token_floor` `[tokens]` say how far below the frame's best log-probability a blank
    or a token can score at worst, in nats. `gaps` are the blanks between words, from the first to the last, and
    `costs` what it costs to leave out all words before each of them. None: none of that.
    """

    first: int
    frames: int
    tokens: Ids
    blank_floor: Scores | None = None
    token_floor: Scores | None = None
    gaps: Ids | None = None
    costs: Scores | None = None


class Ways(NamedTuple):
    """How each state was entered in a frame: into a blank from the token before it, into a token from the blank before
    it, into a token from the token before it; each `[pieces, ...]`. And which gap was entered by leaving out words.
    """

    blank: Flags
    by_one: Flags
    by_two: Flags
    gap: Flags | None = None


class Trellis:
    """Scores of all states after a frame: `tokens [pieces, 1 + longest]`, of which the first column is no token, and
    `blanks [pieces, 1 + longest]`. The pieces stand in order of their frames, the most first.
    """

    def __init__(self, emissions: Scores, pieces: Sequence[Piece], blank: int) -> None:
        """`emissions` are log-probabilities, `[frames, vocabulary]`, of the whole recording."""
        longest = max(len(piece.tokens) for piece in pieces)
        targets = np.full((len(pieces), longest), blank, np.int64)
        for row, piece in enumerate(pieces):
            targets[row, : len(piece.tokens)] = piece.tokens
        kind = emissions.dtype
        self._emissions, self._blank = emissions, blank
        self._flat, self._size = emissions.reshape(-1), emissions.shape[1]
        self._starts = np.array([piece.first for piece in pieces])
        self._index = self._starts[:, None] * self._size + targets
        barred = np.ones_like(targets, bool)  # to be entered from the token before it
        barred[:, 1:] = targets[:, 1:] == targets[:, :-1]
        self._bar = np.where(barred, -np.inf, 0).astype(kind)
        self.tokens = np.full((len(pieces), longest + 1), -np.inf, kind)
        self.blanks = np.full((len(pieces), longest + 1), -np.inf, kind)
        self._best, self._over = np.empty_like(self._bar), np.empty_like(self._bar)
        self._score = np.empty_like(self._bar)
        self._loose = _Loose.of(emissions, pieces, longest)

    def begin(self) -> Flags | None:
        """Score the first frame: a path begins with the first blank or the first token."""
        rows = np.arange(len(self._starts))
        blank_score, token_score = self._scores(0, len(rows))
        self.blanks[:, 0] = np.broadcast_to(blank_score, self.blanks.shape)[:, 0]
        if self.tokens.shape[1] > 1:
            self.tokens[:, 1] = token_score[:, 0]
        return None if self._loose is None else self._loose.leave_out(self.blanks)

    def step(self, frame: int, count: int, ways: Ways | None) -> None:
        """Score the `frame`-th frame of the first `count` pieces, and write into `ways` how its states were entered."""
        tokens, blanks = self.tokens[:count], self.blanks[:count]
        stay, over, best = tokens[:, 1:], self._over[:count], self._best[:count]
        blank_score, token_score = self._scores(frame, count)
        np.add(tokens[:, :-1], self._bar[:count], out=over)
        np.maximum(stay, blanks[:, :-1], out=best)
        if ways is not None:
            np.greater(blanks[:, :-1], stay, out=ways.by_one[:count])
            np.greater(over, best, out=ways.by_two[:count])
            np.greater(tokens, blanks, out=ways.blank[:count])
        np.maximum(best, over, out=best)
        np.maximum(tokens, blanks, out=blanks)
        np.add(blanks, blank_score, out=blanks)
        np.add(best, token_score, out=stay)
        if self._loose is not None:
            gap = self._loose.leave_out(blanks)
            if ways is not None and ways.gap is not None:
                ways.gap[:count] = gap

    def _scores(self, frame: int, count: int) -> tuple[Scores, Scores]:
        """Log-probabilities of the blanks and of the tokens in the `frame`-th frame of the first `count` pieces."""
        score, at = self._score[:count], self._starts[:count] + frame
        np.take(self._flat, self._index[:count] + frame * self._size, out=score, mode="clip")
        blank_score = self._emissions[at, self._blank][:, None]
        return (blank_score, score) if self._loose is None else self._loose.raised(at, blank_score, score)


class _Loose:
    """What pieces allow beside the recurrence: scores that do not fall below a floor, and words that are left out."""

    def __init__(self, best: Scores, blanks: Scores, tokens: Scores, gaps: Ids, costs: Scores) -> None:
        self._best, self._blanks, self._tokens, self._gaps, self._costs = best, blanks, tokens, gaps, costs

    @classmethod
    def of(cls, emissions: Scores, pieces: Sequence[Piece], longest: int) -> "_Loose | None":
        if all(piece.blank_floor is None and piece.token_floor is None and piece.gaps is None for piece in pieces):
            return None
        kind, count = emissions.dtype, len(pieces)
        width = max(1 if piece.gaps is None else len(piece.gaps) for piece in pieces)
        blanks, tokens = np.full((count, longest + 1), np.inf, kind), np.full((count, longest), np.inf, kind)
        gaps, costs = np.zeros((count, width), np.int64), np.full((count, width), np.inf, kind)
        costs[:, 0] = 0
        for row, piece in enumerate(pieces):
            size = len(piece.tokens)
            if piece.blank_floor is not None:
                blanks[row, : size + 1] = piece.blank_floor
            if piece.token_floor is not None:
                tokens[row, :size] = piece.token_floor
            if piece.gaps is not None and piece.costs is not None:
                gaps[row, : len(piece.gaps)], costs[row, : len(piece.gaps)] = piece.gaps, piece.costs
        return cls(emissions.max(axis=1), blanks, tokens, gaps, costs)

    def raised(self, frames: Ids, blank_score: Scores, score: Scores) -> tuple[Scores, Scores]:
        best, count = self._best[frames][:, None], len(frames)
        np.maximum(score, best - self._tokens[:count], out=score)
        return np.maximum(blank_score, best - self._blanks[:count]), score

    def leave_out(self, blanks: Scores) -> Flags:
        """Let a gap be entered from any gap before it, at the cost of the words between them; which ones gain by it."""
        count = len(blanks)
        rows, gaps, costs = np.arange(count)[:, None], self._gaps[:count], self._costs[:count]
        entered = blanks[rows, gaps]
        is_real = np.isfinite(costs)
        level = np.where(is_real, entered + np.where(is_real, costs, 0), -np.inf)
        reached = np.maximum.accumulate(level, axis=1)
        gains = is_real & (reached > level)
        where = np.nonzero(gains)
        blanks[where[0], gaps[where]] = (reached - np.where(is_real, costs, 0))[where]
        return gains
