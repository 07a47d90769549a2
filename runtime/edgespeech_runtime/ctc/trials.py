"""The tokens that the frames of a search try, laid out once for many frames."""

from typing import NamedTuple

import numpy as np

from .alphabet import TokenTable
from .beams import Floats, Ints
from .judging import TOKENS


class Frame(NamedTuple):
    """The tokens that a frame tries, as `Trials` has them; `weak` of them, the last, are for hotwords alone."""

    tokens: Ints
    logp: Floats
    columns: Ints
    forced: Ints
    factors: Ints
    letters: Ints
    terms: Ints
    blank: int
    ends: list[int] | None
    weak: int = 0

    def taken(self, which: Ints) -> "Frame":
        """Some of the tokens, none of which is the blank or ends a word, as weak ones."""
        return Frame(
            self.tokens[which],
            self.logp[which],
            self.columns[which],
            self.forced[which],
            self.factors[which],
            self.letters[which],
            self.terms[which],
            -1,
            None,
            len(which),
        )

    def joined(self, weak: "Frame") -> "Frame":
        """These tokens and weak ones behind them."""
        return Frame(
            np.concatenate([self.tokens, weak.tokens]),
            np.concatenate([self.logp, weak.logp]),
            np.concatenate([self.columns, weak.columns]),
            np.concatenate([self.forced, weak.forced]),
            np.concatenate([self.factors, weak.factors]),
            np.concatenate([self.letters, weak.letters]),
            np.concatenate([self.terms, weak.terms]),
            self.blank,
            self.ends,
            weak.weak,
        )


class Trials:
    """The tokens that some frames try, laid out once: `[tokens, 1]` each, frame by frame.

    `bounds`: where the frames begin. `blanks`: the row of each frame that is the blank's, -1 where it is not tried;
    `ends`: the rows of tokens that end words, for frames that have some.
    """

    def __init__(self, table: TokenTable, column: Ints, forced: Ints, tokens: Ints, logp: Floats, counts: Ints) -> None:
        """`tokens`, ascending in each frame, with their log probabilities; `column`, `forced`: columns by token."""
        self.tokens, self.logp = tokens[:, None], logp[:, None]
        self.columns, self.forced = column.take(self.tokens), forced.take(self.tokens)
        self.factors, self.letters = table.factors.take(self.tokens), table.terms.take(self.tokens)
        self.terms = self.tokens * TOKENS
        starts = np.cumsum(counts) - counts
        self.bounds = [*starts.tolist(), len(tokens)]
        frames = np.repeat(np.arange(len(counts)), counts)
        blanks = np.full(len(counts), -1)
        is_blank = tokens == table.blank
        blanks[frames[is_blank]] = is_blank.nonzero()[0] - starts[frames[is_blank]]
        self.blanks = blanks.tolist()
        self.counts = counts.tolist()
        self.ends: dict[int, list[int]] = {}
        for index in table.breaks.take(tokens).nonzero()[0].tolist():
            frame = int(frames[index])
            self.ends.setdefault(frame, []).append(index - self.bounds[frame])

    def frame(self, index: int) -> Frame:
        """Those of one frame."""
        some = slice(self.bounds[index], self.bounds[index + 1])
        return Frame(
            self.tokens[some],
            self.logp[some],
            self.columns[some],
            self.forced[some],
            self.factors[some],
            self.letters[some],
            self.terms[some],
            self.blanks[index],
            self.ends.get(index),
        )
