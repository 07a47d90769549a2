"""Walking the beginnings of a language model's words by tokens, for all beams at once.

What a beam is writing is the number of a beginning of known words, or -n, n characters that no known word begins with.
The root is 0.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .beams import Floats, Ints
from .fusion import Fusion

UNKNOWN = 64  # characters of words that no known word begins like, for which there is room at first
NO_ROW = -1
LETTERS = 62  # characters that have a bit each
SILENT = 62  # the bit of tokens that write nothing


class Prefixes(Protocol):
    """What tokens make of beginnings of words; a column is a token that can occur at all."""

    def costs(self, prefixes: Ints, columns: Ints) -> Floats:
        """What tokens behind beginnings cost; `columns` are broadcast."""

    def reached(self, prefixes: Ints, columns: Ints) -> Ints:
        """What is written behind tokens."""


def prefixes_of(fusion: Fusion, texts: Sequence[str], characters: str) -> Prefixes:
    """The beginnings of a model's words, for tokens with these texts; `characters` are those of the whole alphabet."""
    if len(characters) <= LETTERS and all(len(text) <= 1 for text in texts):
        return LetterPrefixes(fusion, texts, characters)
    return PrefixAutomaton(fusion, texts)


class LetterPrefixes:
    """Where tokens are single characters: a bit of each beginning says whether a known word goes on so."""

    def __init__(self, fusion: Fusion, texts: Sequence[str], characters: str) -> None:
        self._tree, self._fusion, self._unknown = fusion.prefixes, fusion, 0
        self._codes = np.array([ord(text) if text else 0 for text in texts], np.int64)
        self._bits = np.array([characters.index(text) if text else SILENT for text in texts], np.int64)
        known = self._tree.letters(tuple(map(ord, characters))) if characters else np.zeros(1, np.int64)
        self._missing = ~known & ((1 << SILENT) - 1)
        self._next = fusion.unfinished(self._tree.lengths + 1)
        self._reserve(UNKNOWN)

    def _reserve(self, unknown: int) -> None:
        """Room for -1 to `-unknown`, at the end of the arrays."""
        nodes = len(self._tree.lengths)
        self._unknown = unknown
        lengths = np.arange(unknown, 0, -1)
        self._missing = np.concatenate([self._missing[:nodes], np.full(unknown, (1 << SILENT) - 1)])
        self._next = np.concatenate([self._next[:nodes], self._fusion.unfinished(lengths + 1)])

    def costs(self, prefixes: Ints, columns: Ints) -> Floats:
        """What tokens behind beginnings cost; `columns` are broadcast."""
        missing = self._missing.take(prefixes) >> self._bits.take(columns)
        missing &= 1
        return missing * self._next.take(prefixes)

    def reached(self, prefixes: Ints, columns: Ints) -> Ints:
        """What is written behind tokens."""
        reached = self._tree.walk(prefixes, self._codes.take(columns)[:, None])
        which = (reached < 0).nonzero()[0]
        before = prefixes.take(which)
        lengths = self._tree.lengths.take(before, mode="clip")
        np.copyto(lengths, -before, where=before < 0)
        lengths += self._codes.take(columns.take(which)) > 0
        reached[which] = -lengths
        if len(which) and lengths.item(lengths.argmax()) >= self._unknown:
            self._reserve(2 * self._unknown)
        return reached


class PrefixAutomaton:
    """For tokens of any length: tables `[rows, columns]` say where tokens lead and what that costs; `rows` says where
    in them a beginning stands. A row is filled when it is first asked for.
    """

    def __init__(self, fusion: Fusion, texts: Sequence[str]) -> None:
        self._tree, self._fusion = fusion.prefixes, fusion
        width = max(map(len, texts), default=0)
        codes = [[ord(character) for character in text.ljust(width, "\0")] for text in texts]
        self._codes = np.array(codes, np.int64).reshape(len(texts), width)
        self._lengths = np.array([len(text) for text in texts], np.int64)
        self._begin(UNKNOWN + width)

    def _begin(self, unknown: int) -> None:
        """Empty tables, with rows for -1 to `-unknown`."""
        self._count, self._unknown = unknown + 1, unknown
        self._following = np.zeros((max(256, 2 * unknown), len(self._lengths)), np.int64)
        self._costs = np.zeros(self._following.shape)
        lengths = np.arange(self._count)[:, None] + self._lengths
        self._following[: self._count], self._costs[: self._count] = -lengths, self._fusion.unfinished(lengths)
        # By what stands in them; negative ones count from the end, where there is room for one more token.
        self._rows = np.full(len(self._tree.lengths) + 2 * unknown, NO_ROW)
        self._rows[-unknown:] = np.arange(unknown, 0, -1)

    def rows(self, prefixes: Ints) -> Ints:
        """The rows of what beams are writing."""
        rows = self._rows.take(prefixes)
        if rows.min() < 0:
            new = np.unique(prefixes[rows < 0])
            if new[0] < 0:
                self._begin(2 * self._unknown)
                return self.rows(prefixes)
            self._fill(new)
            rows = self._rows.take(prefixes)
        return rows

    def costs(self, prefixes: Ints, columns: Ints) -> Floats:
        """What tokens behind beginnings cost; `columns` are broadcast."""
        cells = self.rows(prefixes) * len(self._lengths) + columns
        return self._costs.take(cells)

    def reached(self, prefixes: Ints, columns: Ints) -> Ints:
        """What is written behind tokens."""
        cells = self.rows(prefixes) * len(self._lengths) + columns
        return self._following.take(cells)

    def _fill(self, new: Ints) -> None:
        """Fill rows for beginnings of known words."""
        rows, columns = np.arange(self._count, self._count + len(new)), len(self._lengths)
        self._count += len(new)
        if self._count > len(self._following):
            more = ((0, 2 * self._count - len(self._following)), (0, 0))
            self._following, self._costs = np.pad(self._following, more), np.pad(self._costs, more)
        self._rows[new] = rows
        reached = self._tree.walk(np.repeat(new, columns), np.tile(self._codes, (len(new), 1)))
        lengths = (self._tree.lengths.take(new)[:, None] + self._lengths).ravel()
        is_known = reached >= 0
        self._following[rows] = np.where(is_known, reached, -lengths).reshape(-1, columns)
        self._costs[rows] = np.where(is_known, 0.0, self._fusion.unfinished(lengths)).reshape(-1, columns)
