"""Walking the beginnings of a language model's words by tokens, for all beams at once."""

from collections.abc import Sequence

import numpy as np

from .beams import Floats, Ints
from .fusion import Fusion

UNKNOWN = 64  # characters of words that no known word begins like, for which there is room at first
NO_ROW = -1


class PrefixAutomaton:
    """What beams are writing: the number of a beginning of known words, or -n, n characters that no known word begins
    with. The root is 0.

    Tables `[rows, columns]`, over the tokens that can occur at all, say where they lead and what that costs; `rows`
    says where in them something stands. A row is filled when it is first asked for.
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
        self.root = int(self.rows(np.zeros(1, np.int64))[0])

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

    def cells(self, rows: Ints, columns: Ints) -> Ints:
        """Where in the tables rows and tokens' columns stand."""
        return rows * len(self._lengths) + columns

    def reached(self, cells: Ints) -> Ints:
        """What is written behind tokens."""
        return self._following.take(cells)

    def costs(self, cells: Ints) -> Floats:
        """What that costs."""
        return self._costs.take(cells)

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
