"""KenLM's hash tables: model types `probing` and `rest`.

The sign of a probability says whether a longer n-gram ends in this one: minus says no. The third number of an entry of
type `rest` is for other kinds of search, which score words before they know what stands before them.
"""

import math
import struct

from .header import Header
from .search import Entry
from .vocabulary import MASK, HashedWords, buckets, probe

PROBING = (struct.Struct("<ff"), struct.Struct("<Qff"))
REST = (struct.Struct("<fff"), struct.Struct("<Qfff"))
HIGHEST = struct.Struct("<Qf")


class HashTable:
    """Hash tables of the n-grams of each order; a node is the hash of the words of its n-gram."""

    def __init__(self, data: memoryview, header: Header) -> None:
        self._data = data
        words, multiplier = header.counts[0], header.multiplier
        self.vocabulary = HashedWords(data, header.size, words, multiplier)
        self._unigram, self._entry = REST if header.kind == "rest" else PROBING
        self._unigrams = header.size + HashedWords.size(words, multiplier)
        offset = self._unigrams + (words + 1) * self._unigram.size
        self._tables = []  # of orders 2 and up: offset and slots
        for count in header.counts[1:-1]:
            self._tables.append((offset, buckets(count, multiplier)))
            offset += self._tables[-1][1] * self._entry.size
        self._tables.append((offset, buckets(header.counts[-1], multiplier)))
        self.end = offset + self._tables[-1][1] * HIGHEST.size

    @staticmethod
    def size(header: Header) -> int:
        """Where the tables end, in bytes from the beginning of the file."""
        words, multiplier = header.counts[0], header.multiplier
        unigram, entry = REST if header.kind == "rest" else PROBING
        middles = sum(buckets(count, multiplier) for count in header.counts[1:-1])
        highest = buckets(header.counts[-1], multiplier)
        start = header.size + HashedWords.size(words, multiplier)
        return start + (words + 1) * unigram.size + middles * entry.size + highest * HIGHEST.size

    def unigram(self, word: int) -> Entry:
        """The entry of a word alone."""
        values = self._unigram.unpack_from(self._data, self._unigrams + word * self._unigram.size)
        return _entry(values[0], values[1], word)

    def middle(self, order: int, word: int, node: int) -> Entry | None:
        """The n-gram of 1 < `order` < highest that `word` before a node makes."""
        offset, slots = self._tables[order - 2]
        key = _combine(node, word)
        values = probe(self._data, offset, self._entry, slots, key)
        return None if values is None else _entry(values[1], values[2], key)

    def highest(self, word: int, node: int) -> float | None:
        """Log10 probability of the n-gram of highest order that `word` before a node makes."""
        offset, slots = self._tables[-1]
        values = probe(self._data, offset, HIGHEST, slots, _combine(node, word))
        return None if values is None else -abs(values[1])


def _entry(probability: float, backoff: float, node: int) -> Entry:
    return Entry(-abs(probability), backoff, node, extends_left=math.copysign(1, probability) > 0)


def _combine(node: int, word: int) -> int:
    return (node * 8978948897894561157 & MASK) ^ ((1 + word) * 17894857484156487943 & MASK)
