"""The words of a model as one sorted block of UTF-8, searched where it lies: opening it costs nothing."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt


class SortedWords:
    """Words in the order of their UTF-8 bytes; a word's id is its rank.

    `block` is all of them joined, `ends [words]` where each ends in it. Both may be memory-mapped.
    """

    def __init__(self, block: npt.NDArray[np.uint8], ends: npt.NDArray[np.uint32]) -> None:
        self._block, self._ends = block.data, ends.data

    @classmethod
    def of(cls, words: list[bytes]) -> "SortedWords":
        """Join words that are sorted already."""
        ends = np.cumsum([len(word) for word in words], dtype=np.uint32)
        return cls(np.frombuffer(b"".join(words), np.uint8), ends)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> bytes:
        return bytes(self._block[self._ends[index - 1] if index else 0 : self._ends[index]])

    def __iter__(self) -> Iterator[bytes]:
        start = 0
        for end in self._ends:
            yield bytes(self._block[start:end])
            start = end

    def rank(self, word: bytes) -> int:
        """How many words come before `word`: its id, if it is one of them."""
        low, high = 0, len(self._ends)
        block, ends = self._block, self._ends
        while low < high:
            middle = (low + high) // 2
            if bytes(block[ends[middle - 1] if middle else 0 : ends[middle]]) < word:
                low = middle + 1
            else:
                high = middle
        return low

    def find(self, word: bytes) -> int | None:
        """Id of a word; None for a word that is not there."""
        rank = self.rank(word)
        return rank if rank < len(self) and self[rank] == word else None

    def has_prefix(self, prefix: bytes) -> bool:
        """Whether any word begins with these bytes."""
        rank = self.rank(prefix)
        return rank < len(self) and self[rank].startswith(prefix)
