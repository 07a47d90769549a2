"""From words to KenLM's ids: hashes of their bytes, in a sorted table (tries) or in a hash table (probing)."""

import struct
from bisect import bisect_left

import numpy as np

from ....errors import LanguageModelError

UNKNOWN = (b"<unk>", b"<UNK>")  # both are id 0, and in no table
MASK = 2**64 - 1
MULTIPLIER = 0xC6A4A7935BD1E995
ENTRY = struct.Struct("<QI")  # hash, id


def murmur(key: bytes) -> int:
    """MurmurHash64A with seed 0 (Austin Appleby, public domain)."""
    state = len(key) * MULTIPLIER & MASK
    whole = len(key) & ~7
    for offset in range(0, whole, 8):
        part = int.from_bytes(key[offset : offset + 8], "little") * MULTIPLIER & MASK
        part = (part ^ part >> 47) * MULTIPLIER & MASK
        state = (state ^ part) * MULTIPLIER & MASK
    if whole < len(key):
        state = (state ^ int.from_bytes(key[whole:], "little")) * MULTIPLIER & MASK
    state = (state ^ state >> 47) * MULTIPLIER & MASK
    return state ^ state >> 47


class SortedHashes:
    """Hashes in ascending order; the id of a word is one more than the rank of its hash."""

    def __init__(self, data: memoryview, offset: int, words: int) -> None:
        """Read the table at `offset`; `words` counts <unk>. Raises LanguageModelError for one that is not sorted."""
        (stored,) = struct.unpack_from("<Q", data, offset)
        if stored >= max(words, 1) + 1:
            raise LanguageModelError(
                f"the KenLM file has {stored} words where its header says {words}: fetch or build it again"
            )
        hashes = np.frombuffer(data, "<u8", stored, offset + 8)
        if not (hashes[1:] > hashes[:-1]).all():
            raise LanguageModelError("the words of the KenLM file are not in order: fetch or build it again")
        self.bound = stored + 1
        self._hashes = hashes.data

    @staticmethod
    def size(words: int) -> int:
        """Bytes of the table."""
        return 8 + 8 * words

    def find(self, word: bytes) -> int | None:
        """Id of a word."""
        if word in UNKNOWN:
            return 0
        key = murmur(word)
        rank = bisect_left(self._hashes, key)
        return rank + 1 if rank < len(self._hashes) and self._hashes[rank] == key else None


class HashedWords:
    """A hash table with linear probing from hashes to ids."""

    def __init__(self, data: memoryview, offset: int, words: int, multiplier: float) -> None:
        version, self.bound = struct.unpack_from("<II", data, offset)
        if version != 0 or not 1 <= self.bound <= words + 1:
            raise LanguageModelError(
                f"the words of the KenLM file (version {version}, {self.bound} of {words}) are damaged: "
                "fetch or build it again"
            )
        self._data, self._base, self._buckets = data, offset + 8, buckets(words, multiplier)

    @staticmethod
    def size(words: int, multiplier: float) -> int:
        """Bytes of the table."""
        return 8 + ENTRY.size * buckets(words, multiplier)

    def find(self, word: bytes) -> int | None:
        """Id of a word."""
        if word in UNKNOWN:
            return 0
        key = murmur(word)
        at = probe(self._data, self._base, ENTRY, self._buckets, key)
        return None if at is None else int(at[1])


def buckets(entries: int, multiplier: float) -> int:
    """Number of slots of a hash table for so many entries; KenLM multiplies in float32."""
    return max(entries + 1, int(np.float32(multiplier) * np.float32(entries)))


def probe(data: memoryview, base: int, entry: struct.Struct, slots: int, key: int) -> tuple[int | float, ...] | None:
    """The entry of a key in a hash table with linear probing, which begins at `base`; a key of 0 is a free slot."""
    slot = key % slots
    for _ in range(slots):
        values = entry.unpack_from(data, base + slot * entry.size)
        if values[0] == key:
            return values
        if values[0] == 0:
            return None
        slot = slot + 1 if slot + 1 < slots else 0
    return None
