"""The tokens of a text in one row, as they go into a trellis: where its words are, and where other speech may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .spelling import ANYTHING, Spelled
from .trellis import Ids, Piece

ANY_SPEECH = 1.0  # nats a frame that speech costs where the text allows any: more than letters that it has
STRAY_SPEECH = 2.0  # nats a frame that speech costs between words of a text that need not be complete
WORST = 8.0  # nats that a letter costs at most in a frame, of a text that need not be right
LEFT_OUT = 4.0  # nats that it costs to leave out a letter of a word, and as much again for the word


@dataclass(frozen=True)
class Layout:
    """Token ids `[tokens]` of the words that have any, delimiters between them; `words` are their numbers in the text.

    `starts` and `ends` say where the tokens of each of those words begin and end. `is_open` `[tokens + 1]` holds for
    the blanks before and behind which the text allows any speech, because it has `*` or letters without a token there.
    """

    tokens: Ids
    words: Ids
    starts: Ids
    ends: Ids
    is_open: npt.NDArray[np.bool_]

    @cached_property
    def is_letter(self) -> npt.NDArray[np.bool_]:
        """Which tokens are of words, `[tokens]`; the others are delimiters."""
        change = np.zeros(len(self.tokens) + 1, np.int64)
        change[self.starts] += 1
        change[self.ends] -= 1
        return np.cumsum(change)[:-1] > 0

    def piece(self, frames: slice, tokens: slice, is_loose: bool = False) -> Piece:
        """These tokens in these frames. Loosely, words may be left out, and other speech may be in between."""
        count = tokens.stop - tokens.start
        blank_floor = np.where(self.is_open[tokens.start : tokens.stop + 1], ANY_SPEECH, np.inf)
        letters = self.is_letter[tokens]
        token_floor = np.full(count, np.inf)
        delimiters = np.flatnonzero(~letters)
        token_floor[delimiters] = np.minimum(blank_floor[delimiters], blank_floor[delimiters + 1])
        if not is_loose:
            has_floors = bool(np.isfinite(blank_floor).any())
            floors = (blank_floor, token_floor) if has_floors else (None, None)
            return Piece(frames.start, frames.stop - frames.start, self.tokens[tokens], *floors)
        between = np.ones(count + 1, bool)  # blanks that are not inside a word
        inside = letters[1:] & letters[:-1]
        inside &= ~np.isin(np.arange(tokens.start + 1, tokens.stop), self.starts)
        between[1:-1] = ~inside
        blank_floor = np.minimum(blank_floor, np.where(between, STRAY_SPEECH, WORST))
        token_floor = np.minimum(token_floor, np.where(letters, WORST, STRAY_SPEECH))
        gaps, costs = self._gaps(tokens)
        return Piece(
            frames.start, frames.stop - frames.start, self.tokens[tokens], blank_floor, token_floor, gaps, costs
        )

    def _gaps(self, tokens: slice) -> tuple[Ids, npt.NDArray[np.float64]]:
        """The blanks before words and behind the last, in these tokens, and the cost of leaving out all before each."""
        starts = self.starts[(self.starts >= tokens.start) & (self.starts < tokens.stop)] - tokens.start
        gaps = np.append(starts, tokens.stop - tokens.start)
        letters = np.append(0, np.cumsum(self.is_letter[tokens]))
        costs = LEFT_OUT * (letters[gaps] + np.arange(len(gaps)))
        return gaps, costs


def lay_out(words: Sequence[Spelled], delimiter: int | None) -> Layout:
    """Put the words' tokens in a row, `delimiter` between them where there is one."""
    tokens: list[int] = []
    opened: set[int] = set()
    numbers, starts, ends = [], [], []
    for number, word in enumerate(words):
        if not word.tokens:
            if _is_speech(word):
                opened.add(len(tokens))
            continue
        if tokens and delimiter is not None:
            if len(tokens) in opened:
                opened.add(len(tokens) + 1)
            tokens.append(delimiter)
        numbers.append(number)
        starts.append(len(tokens))
        opened |= {len(tokens) + position for position in _unknown(word)}
        tokens += word.tokens
        ends.append(len(tokens))
    is_open = np.zeros(len(tokens) + 1, bool)
    is_open[sorted(opened)] = True
    return Layout(np.array(tokens, np.int64), np.array(numbers), np.array(starts), np.array(ends), is_open)


def _is_speech(word: Spelled) -> bool:
    return word.text == ANYTHING or any(letter.token is None for letter in word.letters)


def _unknown(word: Spelled) -> list[int]:
    """Before which tokens of a word something is read out that has none."""
    positions, token = [], 0
    for letter in word.letters:
        if letter.token is None:
            positions.append(token)
        else:
            token = letter.token + 1
    return positions
