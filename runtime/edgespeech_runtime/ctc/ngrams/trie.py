"""N-grams as a tree of words: below each n-gram the words that may follow it, sorted, so that a lookup is a bisection.

An n-gram of order n is an index into the arrays of that order. Order 1 is indexed by word id; the n-grams of order
n + 1 that extend n-gram i lie at `first[i] <= index < first[i + 1]`.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import LanguageModelError
from .tables import UNKNOWN, UNKNOWN_MISSING, Ngrams, Tables
from .vocabulary import SortedWords

Context = tuple[int, ...]
CONTEXTS = 2**17  # contexts whose lookups are kept


@dataclass(frozen=True)
class Level:
    """The n-grams of one order as arrays `[count]` (`first`: `[count + 1]`), the last order without its last two."""

    words: Sequence[int]
    probabilities: Sequence[float]
    backoffs: Sequence[float]
    first: Sequence[int]


class Trie:
    """A model in memory or memory-mapped; ids are those of `words`."""

    def __init__(self, words: SortedWords, levels: list[Level]) -> None:
        self.words, self.levels, self.order = words, levels, len(levels)
        self._children: dict[Context, list[tuple[int, int]]] = {}

    def find(self, word: bytes) -> int | None:
        """Id of a word; None for a word that is not there."""
        return self.words.find(word)

    def backoff(self, context: Context) -> float:
        """Log10 back-off weight of an n-gram; 0 for one that is not there."""
        index = self._index(context)
        return 0.0 if index is None else self.levels[len(context) - 1].backoffs[index]

    def longest(self, context: Context, word: int) -> tuple[float, int, int]:
        """The longest n-gram that ends in `word` and is there, with as many words of `context` before it.

        Gives its log10 probability, its order, and the order of the longest one that has back-off or extensions: all
        that later words can depend on.
        """
        probability, length, kept = None, 0, 0
        for order, (start, end) in zip(range(len(context) + 1, 0, -1), self._ranges(context), strict=True):
            level = self.levels[order - 1]
            index = word if order == 1 else bisect_left(level.words, word, start, end)
            if order > 1 and (index >= end or level.words[index] != word):
                continue
            if probability is None:
                probability, length = level.probabilities[index], order
            if order < self.order and (level.first[index] < level.first[index + 1] or level.backoffs[index]):
                kept = order
                break
        return probability or 0.0, length, kept

    def _ranges(self, context: Context) -> list[tuple[int, int]]:
        """Where the n-grams lie that extend the context, and those that extend it without its first word, and so on."""
        cached = self._children.get(context)
        if cached is None:
            if len(self._children) >= CONTEXTS:
                self._children.clear()
            cached = [self._range(context[start:]) for start in range(len(context) + 1)]
            self._children[context] = cached
        return cached

    def _range(self, context: Context) -> tuple[int, int]:
        index = self._index(context) if context else None
        if index is None:
            return 0, 0
        first = self.levels[len(context) - 1].first
        return first[index], first[index + 1]

    def _index(self, ngram: Context) -> int | None:
        """Where an n-gram lies among those of its order; None for one that is not there."""
        index = ngram[0]
        for level, parent, word in zip(self.levels[1:], self.levels, ngram[1:], strict=False):
            start, end = parent.first[index], parent.first[index + 1]
            index = bisect_left(level.words, word, start, end)
            if index >= end or level.words[index] != word:
                return None
        return index


@dataclass(frozen=True)
class SortedNgrams:
    """The n-grams of one order, sorted by their words, with the index of what each extends."""

    ngrams: Ngrams
    parents: npt.NDArray[np.int64]


def sort(tables: Tables) -> tuple[list[bytes], list[SortedNgrams]]:
    """Sort words by their bytes, give them ids in that order, and sort the n-grams by those. <unk> is added if missing.

    Raises LanguageModelError for an n-gram that is there twice, or whose first words are no n-gram.
    """
    tables = _with_unknown(tables)
    ranks = sorted(range(len(tables.words)), key=tables.words.__getitem__)
    size = len(ranks)
    new_ids = np.empty(size, np.uint32)
    new_ids[ranks] = np.arange(size, dtype=np.uint32)
    tables = Tables([tables.words[i] for i in ranks], [_renumbered(each, new_ids) for each in tables.orders])
    orders: list[SortedNgrams] = []
    keys: list[npt.NDArray[np.int64]] = []
    for ngrams in tables.orders:
        parents = np.zeros(len(ngrams.ids), np.int64)
        for column, above in enumerate(keys):
            wanted = parents * size + ngrams.ids[:, column]
            parents = np.searchsorted(above, wanted)
            missing = np.flatnonzero(np.append(above, -1)[parents] != wanted)
            if missing.size:
                words = tables.spell(ngrams.ids[missing[0]])
                raise LanguageModelError(f"the n-gram {words!r} is there, but not that of its first {column + 1} words")
        key = parents * size + ngrams.ids[:, -1]
        positions = np.argsort(key, kind="stable")
        keys.append(key[positions])
        twice = np.flatnonzero(keys[-1][1:] == keys[-1][:-1])
        if twice.size:
            raise LanguageModelError(f"the n-gram {tables.spell(ngrams.ids[positions[twice[0]]])!r} is there twice")
        orders.append(SortedNgrams(_picked(ngrams, positions), parents[positions]))
    return tables.words, orders


def build(tables: Tables) -> Trie:
    """A model in memory. Raises LanguageModelError as `sort` does."""
    words, orders = sort(tables)
    levels = []
    for above, below in zip(orders, [*orders[1:], None], strict=True):
        first = np.zeros(0, np.int64)
        if below is not None:
            first = np.searchsorted(below.parents, np.arange(len(above.parents) + 1))
        ngrams = above.ngrams
        backoffs = np.zeros(0, np.float32) if ngrams.backoffs is None else ngrams.backoffs
        levels.append(
            Level(
                np.ascontiguousarray(ngrams.ids[:, -1]).data,
                ngrams.probabilities.data,
                backoffs.data,
                first.data,
            )
        )
    return Trie(SortedWords.of(words), levels)


def _with_unknown(tables: Tables) -> Tables:
    if UNKNOWN in tables.words:
        return tables
    capital = UNKNOWN.upper()
    if capital in tables.words:
        words = [UNKNOWN if word == capital else word for word in tables.words]
        return Tables(words, tables.orders)
    unigrams = tables.orders[0]
    ids = np.append(unigrams.ids, np.uint32(len(tables.words))).reshape(-1, 1).astype(np.uint32)
    probabilities = np.append(unigrams.probabilities, np.float32(UNKNOWN_MISSING))
    backoffs = None if unigrams.backoffs is None else np.append(unigrams.backoffs, np.float32(0))
    return Tables([*tables.words, UNKNOWN], [Ngrams(ids, probabilities, backoffs), *tables.orders[1:]])


def _renumbered(ngrams: Ngrams, new_ids: npt.NDArray[np.uint32]) -> Ngrams:
    return Ngrams(new_ids[ngrams.ids], ngrams.probabilities, ngrams.backoffs)


def _picked(ngrams: Ngrams, positions: npt.NDArray[np.int64]) -> Ngrams:
    backoffs = None if ngrams.backoffs is None else ngrams.backoffs[positions]
    return Ngrams(ngrams.ids[positions], ngrams.probabilities[positions], backoffs)
