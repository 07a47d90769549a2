"""How KenLM finds the longest n-gram: from the last word to the left, as long as there is a longer one.

A `Table` answers for one word at a time; its nodes are its own (a hash, or a range of entries).
"""

import math
from typing import Any, NamedTuple, Protocol

from ..trie import CONTEXTS, Context


class Entry(NamedTuple):
    """An n-gram that is there: its values, its node, and whether any longer n-gram ends in it."""

    probability: float
    backoff: float
    node: Any
    extends_left: bool


class Table(Protocol):
    """The n-grams of a file, by words from right to left."""

    def unigram(self, word: int) -> Entry:
        """The entry of a word alone."""

    def middle(self, order: int, word: int, node: Any) -> Entry | None:
        """The n-gram of 1 < `order` < highest that `word` before a node makes."""

    def highest(self, word: int, node: Any) -> float | None:
        """Log10 probability of the n-gram of highest order that `word` before a node makes."""


class Search:
    """The store of a KenLM file."""

    def __init__(self, table: Table, vocabulary: Any, order: int) -> None:
        self.table, self._vocabulary, self.order = table, vocabulary, order
        self._backoffs: dict[Context, float] = {}

    def find(self, word: bytes) -> int | None:
        """Id of a word."""
        word_id: int | None = self._vocabulary.find(word)
        return word_id

    def longest(self, context: Context, word: int) -> tuple[float, int, int]:
        """Of the longest n-gram that ends `context` and `word`: log10 probability, order, words of the next state."""
        entry = self.table.unigram(word)
        probability, length = entry.probability, 1
        kept = int(_extends(entry.backoff))
        for order, before in enumerate(reversed(context), start=2):
            if not entry.extends_left:
                break
            if order == self.order:
                last = self.table.highest(before, entry.node)
                return (probability, length, kept) if last is None else (last, order, kept)
            match = self.table.middle(order, before, entry.node)
            if match is None:
                break
            entry, probability, length = match, match.probability, order
            if _extends(entry.backoff):
                kept = order
        return probability, length, kept

    def backoff(self, context: Context) -> float:
        """Log10 back-off weight of an n-gram; 0 for one that is not there."""
        cached = self._backoffs.get(context)
        if cached is None:
            if len(self._backoffs) >= CONTEXTS:
                self._backoffs.clear()
            cached = self._backoffs[context] = self._look_up(context)
        return cached

    def _look_up(self, context: Context) -> float:
        entry: Entry | None = self.table.unigram(context[-1])
        for order, word in enumerate(reversed(context[:-1]), start=2):
            if entry is None or not entry.extends_left:
                return 0.0
            entry = self.table.middle(order, word, entry.node)
        return 0.0 if entry is None else entry.backoff


def _extends(backoff: float) -> bool:
    """Whether later words may depend on an n-gram; one on which they do not has a back-off weight of minus zero."""
    return backoff != 0 or math.copysign(1, backoff) > 0
