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
        self._words: dict[int, str] = {}
        self._following: tuple[tuple[int, ...], Ints] | None = None

    def walk(self, nodes: Ints, codes: Ints) -> Ints:
        """The beginnings behind some, each with the code points of a text, `[nodes, characters]`, 0 behind its end."""
        if not len(self._sorted):
            return np.where((codes > 0).any(axis=1), -1, nodes)
        for column in codes.T:
            keys = nodes << CHARACTER
            keys |= column
            at = self._sorted.searchsorted(keys)
            following = self._order.take(at, mode="clip")
            following += 1
            np.copyto(following, -1, where=self._sorted.take(at, mode="clip") != keys)
            np.copyto(following, nodes, where=column == 0)
            nodes = following
        return nodes

    def text(self, node: int) -> str:
        """What a beginning is."""
        characters: list[str] = []
        while node > 0:
            key = int(self._keys[node - 1])
            characters.append(chr(key & ((1 << CHARACTER) - 1)))
            node = key >> CHARACTER
        return "".join(reversed(characters))

    def word(self, node: int) -> str:
        """The word that a beginning is; "" for one that is none, or that no word has (-1 and less)."""
        if node < 0 or not self.is_word[node]:
            return ""
        word = self._words.get(node)
        if word is None:
            word = self._words[node] = self.text(node)
        return word

    def letters(self, codes: tuple[int, ...]) -> Ints:
        """For each beginning, a bit for each of up to 62 characters that some word goes on with."""
        kept = self._following  # another thread may put another one there
        if kept is None or kept[0] != codes:
            masks: Ints = np.zeros(len(self.lengths), np.int64)
            ordered = np.array(sorted(codes), np.int64)
            bits = np.array([1 << codes.index(code) for code in ordered.tolist()], np.int64)
            characters = self._keys & ((1 << CHARACTER) - 1)
            at = np.minimum(ordered.searchsorted(characters), len(ordered) - 1)
            is_known = ordered.take(at) == characters
            np.bitwise_or.at(masks, self._keys[is_known] >> CHARACTER, bits.take(at[is_known]))
            kept = self._following = codes, masks
        return kept[1]


def _widened(values: Ints, width: int) -> Ints:
    missing = np.zeros((*values.shape[:-1], width - values.shape[-1]), np.int64)
    return np.concatenate([values, missing], axis=-1)
