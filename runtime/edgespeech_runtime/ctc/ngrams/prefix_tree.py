"""All beginnings of a vocabulary's words as a tree in arrays, walked for many at a time."""

from collections.abc import Collection
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
BLOCK = 16_384  # words that are laid out at a time
CHARACTER = 21  # bits of a code point


class PrefixTree:
    """Beginnings of words, numbered: 0 is the empty one, -1 what no word begins with.

    Arrays over beginnings: `lengths`, and `is_word`, whether it is a word itself.
    """

    def __init__(self, words: Collection[str]) -> None:
        ordered = sorted({word for word in words if word})
        none: Ints = np.zeros(0, np.int64)
        keys, ends, lengths = [none], [none], [np.zeros(1, np.int64)]  # keys: parent and character of all but the root
        count, before, path = 1, none, none  # the last word and its nodes
        for start in range(0, len(ordered), BLOCK):
            block = np.array(ordered[start : start + BLOCK])
            codes = block.view(np.uint32).reshape(len(block), -1).astype(np.int64)
            depth = max(codes.shape[1], len(before))
            codes, before, path = _widened(codes, depth), _widened(before, depth), _widened(path, depth)
            differs = np.logical_or.accumulate(codes != np.concatenate([before[None], codes[:-1]]), axis=1)
            is_new = differs & (codes > 0)
            nodes = np.where(is_new, np.cumsum(is_new).reshape(is_new.shape) + count - 1, 0)
            nodes[0] = np.where(is_new[0], nodes[0], path)
            nodes = np.maximum.accumulate(nodes, axis=0)
            parents = np.concatenate([np.zeros((len(block), 1), np.int64), nodes[:, :-1]], axis=1)
            keys.append((parents << CHARACTER | codes)[is_new])
            lengths.append(np.nonzero(is_new)[1] + 1)
            ends.append(nodes[np.arange(len(block)), (codes > 0).sum(axis=1) - 1])
            count, before, path = count + int(is_new.sum()), codes[-1], nodes[-1]
        self._keys = np.concatenate(keys)
        self._order = self._keys.argsort()
        self._sorted = self._keys[self._order]
        self.lengths, self.is_word = np.concatenate(lengths), np.zeros(count, bool)
        self.is_word[np.concatenate(ends)] = True

    def walk(self, nodes: Ints, codes: Ints) -> Ints:
        """The beginnings behind some, each with the code points of a text, `[nodes, characters]`, 0 behind its end."""
        for column in codes.T:
            keys = nodes << CHARACTER | column
            at = self._sorted.searchsorted(keys)
            at[at == len(self._sorted)] = 0
            is_there = self._sorted.take(at) == keys if len(self._sorted) else np.zeros(len(keys), bool)
            following = np.full(len(nodes), -1)
            following[is_there] = self._order.take(at[is_there]) + 1
            nodes = np.where(column > 0, following, nodes)
        return nodes

    def text(self, node: int) -> str:
        """What a beginning is."""
        characters: list[str] = []
        while node > 0:
            key = int(self._keys[node - 1])
            characters.append(chr(key & ((1 << CHARACTER) - 1)))
            node = key >> CHARACTER
        return "".join(reversed(characters))


def _widened(values: Ints, width: int) -> Ints:
    missing = np.zeros((*values.shape[:-1], width - values.shape[-1]), np.int64)
    return np.concatenate([values, missing], axis=-1)
