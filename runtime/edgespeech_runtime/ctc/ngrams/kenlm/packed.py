"""KenLM's tries of packed bits: with values as they are or quantized, with pointers as they are or in arrays.

An entry of a middle order is: word, values, pointer to its first extension to the left; the next entry's pointer ends
the range. Numbers follow each other bit by bit, least significant first. Values are 31 bits of a probability, whose
sign is always minus, and 32 of a back-off weight; or, quantized, the numbers of two bins, back-off first. In an `array`
the upper bits of pointers are not stored: an array says from which entry on each of their values holds (B. Raj and
E. Whittaker 2003, "Lossless compression of language model structure and word identifiers").
"""

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ....errors import LanguageModelError
from .header import Header
from .search import Entry
from .vocabulary import SortedHashes

UNIGRAM = struct.Struct("<ffQ")
Range = tuple[int, int]
Bins = npt.NDArray[np.float32] | None  # values by the number of their bin; None: values are stored themselves


@dataclass(frozen=True)
class Settings:
    """What the file says of its packing: bits of a bin's number; at most so many upper bits of pointers in arrays."""

    probability_bits: int | None = None
    backoff_bits: int = 0
    array_bits: int | None = None

    @property
    def table_header(self) -> int:
        """Bytes before the bins."""
        return 0 if self.probability_bits is None else 8

    def bins(self, order: int) -> int:
        """Bytes of all bins of a model."""
        if self.probability_bits is None:
            return 0
        probabilities, backoffs = 4 << self.probability_bits, 4 << self.backoff_bits
        return (order - 2) * (probabilities + backoffs) + probabilities + self.table_header


@dataclass(frozen=True)
class Packed:
    """Entries of one order: where they begin in the file and how many bits each part has."""

    offset: int
    word_bits: int
    value_bits: int
    pointer_bits: int
    array: npt.NDArray[np.uint64] | None
    probabilities: Bins
    backoffs: Bins

    @property
    def bits(self) -> int:
        """Bits of an entry."""
        return self.word_bits + self.value_bits + self.pointer_bits


class Entries(NamedTuple):
    """All entries of an order: words (none of the first order), values, and where the extensions of each begin in the
    next order, `[entries + 1]`."""

    words: npt.NDArray[np.uint32]
    probabilities: npt.NDArray[np.float32]
    backoffs: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int64]


class PackedTrie:
    """Tries from right to left; a node is a range of entries of the next order."""

    def __init__(self, data: memoryview, header: Header) -> None:
        """Raises LanguageModelError for tables of another version and pointers that lead out of the file."""
        self._data, self._counts, words = data, header.counts, header.counts[0]
        self.vocabulary = SortedHashes(data, header.size, words)
        offset = header.size + SortedHashes.size(words)
        settings = read_settings(data, header)
        bins = _read_bins(data, offset, settings, len(header.counts))
        self._unigrams = offset + settings.bins(len(header.counts))
        self._check_unigrams(words, header.counts[1])
        offset = self._unigrams + (words + 2) * UNIGRAM.size
        self._levels: list[Packed] = []
        for order, count in enumerate(header.counts[1:], start=2):
            following = header.counts[order] if order < len(header.counts) else None
            level, offset = _level(data, offset, settings, (words, count, following), bins[order - 2])
            self._levels.append(level)
        self.end = offset

    def unigram(self, word: int) -> Entry:
        """The entry of a word alone."""
        offset = self._unigrams + word * UNIGRAM.size
        probability, backoff, start = UNIGRAM.unpack_from(self._data, offset)
        (end,) = struct.unpack_from("<Q", self._data, offset + UNIGRAM.size + 8)
        return Entry(probability, backoff, (start, end), extends_left=start < end)

    def middle(self, order: int, word: int, node: Range) -> Entry | None:
        """The n-gram of 1 < `order` < highest that `word` before a node makes."""
        level = self._levels[order - 2]
        index = self._find(level, word, node)
        if index is None:
            return None
        bit = index * level.bits + level.word_bits
        if level.probabilities is None or level.backoffs is None:
            probability = _float(self._read(level, bit, 31) | 1 << 31)
            backoff = _float(self._read(level, bit + 31, 32))
        else:
            backoff_bits = len(level.backoffs).bit_length() - 1
            backoff = float(level.backoffs[self._read(level, bit, backoff_bits)])
            number = self._read(level, bit + backoff_bits, level.value_bits - backoff_bits)
            probability = float(level.probabilities[number])
        start, end = self._range(level, index)
        return Entry(probability, backoff, (start, end), extends_left=start < end)

    def highest(self, word: int, node: Range) -> float | None:
        """Log10 probability of the n-gram of highest order that `word` before a node makes."""
        level = self._levels[-1]
        index = self._find(level, word, node)
        if index is None:
            return None
        value = self._read(level, index * level.bits + level.word_bits, level.value_bits)
        return _float(value | 1 << 31) if level.probabilities is None else float(level.probabilities[value])

    def unigrams(self) -> Entries:
        """All words."""
        count = self.vocabulary.bound
        kind = np.dtype([("probability", "<f4"), ("backoff", "<f4"), ("next", "<u8")])
        entries = np.frombuffer(self._data, kind, count + 1, self._unigrams)
        none = np.zeros(0, np.uint32)
        probabilities, backoffs = (entries[name][:-1].astype(np.float32) for name in ("probability", "backoff"))
        return Entries(none, probabilities, backoffs + np.float32(0), entries["next"].astype(np.int64))

    def entries(self, order: int) -> Entries:
        """All n-grams of an order from 2 on."""
        level, count = self._levels[order - 2], self._counts[order - 1]
        at = np.arange(count + 1, dtype=np.int64) * level.bits
        words = self._read_all(level, at[:-1], level.word_bits).astype(np.uint32)
        values, zeros = at[:-1] + level.word_bits, np.zeros(count, np.float32)
        is_last = order == len(self._counts)
        if level.probabilities is None:
            bits = self._read_all(level, values, 31).astype(np.uint32) | np.uint32(1 << 31)
            probabilities = bits.view(np.float32)
            backoffs = zeros if is_last else self._read_all(level, values + 31, 32).astype(np.uint32).view(np.float32)
        else:
            width = 0 if level.backoffs is None else len(level.backoffs).bit_length() - 1
            numbers = self._read_all(level, values + width, level.value_bits - width).astype(np.int64)
            probabilities = level.probabilities[numbers]
            backoffs = zeros
            if level.backoffs is not None:
                backoffs = level.backoffs[self._read_all(level, values, width).astype(np.int64)]
        bounds = np.zeros(count + 1, np.int64)
        if not is_last:
            bounds = self._read_all(level, at + level.bits - level.pointer_bits, level.pointer_bits).astype(np.int64)
            if level.array is not None:
                upper = np.searchsorted(level.array, np.arange(count + 1, dtype=np.uint64), side="right") - 1
                bounds |= upper << level.pointer_bits
        return Entries(words, probabilities, backoffs + np.float32(0), bounds)

    def _read_all(self, level: Packed, bits: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint64]:
        whole = np.ndarray((len(self._data) - 7,), "<u8", self._data, strides=(1,))
        values: npt.NDArray[np.uint64] = whole[level.offset + (bits >> 3)] >> (bits & 7).astype(np.uint64)
        return values & np.uint64((1 << width) - 1)

    def _range(self, level: Packed, index: int) -> Range:
        bit = (index + 1) * level.bits - level.pointer_bits
        start, end = (self._read(level, each, level.pointer_bits) for each in (bit, bit + level.bits))
        if level.array is not None:
            upper = [bisect_right(level.array, each) - 1 for each in (index, index + 1)]
            start, end = start | upper[0] << level.pointer_bits, end | upper[1] << level.pointer_bits
        return start, end

    def _find(self, level: Packed, word: int, node: Range) -> int | None:
        """Index of the entry of a word in a range of a level, which is sorted; None where it is not there."""
        low, high = node
        data, base, bits, mask = self._data, level.offset, level.bits, (1 << level.word_bits) - 1
        while low < high:
            middle = (low + high) // 2
            bit = middle * bits
            start = base + (bit >> 3)
            value = int.from_bytes(data[start : start + 8], "little") >> (bit & 7) & mask
            if value < word:
                low = middle + 1
            elif value > word:
                high = middle
            else:
                return middle
        return None

    def _read(self, level: Packed, bit: int, bits: int) -> int:
        start = level.offset + (bit >> 3)
        return int.from_bytes(self._data[start : start + 8], "little") >> (bit & 7) & ((1 << bits) - 1)

    def _check_unigrams(self, words: int, bigrams: int) -> None:
        kind = np.dtype([("probability", "<f4"), ("backoff", "<f4"), ("next", "<u8")])
        unigrams = np.frombuffer(self._data, kind, self.vocabulary.bound + 1, self._unigrams)
        pointers = unigrams["next"]
        is_sound = (pointers[1:] >= pointers[:-1]).all() and pointers[-1] <= bigrams
        values = unigrams["probability"][:-1]
        if not is_sound or not (np.isfinite(values) & (values <= 0)).all():
            raise LanguageModelError("the unigrams of the KenLM file are damaged: fetch or build it again")


def read_settings(data: memoryview, header: Header) -> Settings:
    """Read how a trie is packed. Raises LanguageModelError for tables of another version."""
    words, order = header.counts[0], len(header.counts)
    offset = header.size + SortedHashes.size(words)
    settings = Settings()
    if "quantized" in header.kind:
        version, probability_bits, backoff_bits = data[offset : offset + 3]
        if version != 2 or not (1 <= probability_bits <= 25 and 1 <= backoff_bits <= 25):
            message = f"version {version} (this reads 2), {probability_bits} and {backoff_bits} bits"
            raise LanguageModelError(f"the bins of the KenLM file are not sound: {message}; build it again")
        settings = Settings(probability_bits, backoff_bits)
    if "array" in header.kind and order > 2:
        offset += settings.bins(order) + (words + 2) * UNIGRAM.size
        version, bits = data[offset : offset + 2]
        if version != 0:
            message = f"version {version} (this reads 0)"
            raise LanguageModelError(f"the arrays of the KenLM file are not sound: {message}; build it again")
        settings = Settings(settings.probability_bits, settings.backoff_bits, bits)
    return settings


def _read_bins(data: memoryview, offset: int, settings: Settings, order: int) -> list[tuple[Bins, Bins]]:
    """Bins of probabilities and of back-off weights of orders 2 and up; the highest has none of the latter."""
    if settings.probability_bits is None:
        return [(None, None)] * (order - 1)
    offset += settings.table_header
    tables: list[tuple[Bins, Bins]] = []
    for each in range(2, order + 1):
        probabilities = np.frombuffer(data, "<f4", 1 << settings.probability_bits, offset)
        offset += probabilities.nbytes
        backoffs = None
        if each < order:
            backoffs = np.frombuffer(data, "<f4", 1 << settings.backoff_bits, offset)
            offset += backoffs.nbytes
        tables.append((probabilities, backoffs))
    return tables


def _level(
    data: memoryview, offset: int, settings: Settings, counts: tuple[int, int, int | None], bins: tuple[Bins, Bins]
) -> tuple[Packed, int]:
    """The entries of an order at `offset`, and where they end; `counts`: words, entries, entries of the next order."""
    words, entries, following = counts
    is_last = following is None
    pointer_bits, array = 0, None
    if following is not None:
        pointer_bits = following.bit_length()
        if settings.array_bits is not None:
            stored = _array_bits(entries + 1, following, settings.array_bits)
            pointer_bits -= stored
            size = (following >> pointer_bits) + 1
            array = np.frombuffer(data, "<u8", size, -(-offset // 8) * 8 + 8) if data else None
            offset += 8 * (1 + size) + 7
    value_bits = (31 if is_last else 63) if settings.probability_bits is None else settings.probability_bits
    if settings.probability_bits is not None and not is_last:
        value_bits += settings.backoff_bits
    level = Packed(offset, words.bit_length(), value_bits, pointer_bits, array, *bins)
    return level, offset + ((1 + entries) * level.bits + 7) // 8 + 8


def _array_bits(entries: int, following: int, most: int) -> int:
    """How many upper bits of pointers are in the array: as many as make the file smallest; of equals, the fewest."""
    required = following.bit_length()
    sizes = [(following >> (required - bits)) * 64 - entries * bits for bits in range(min(required, most) + 1)]
    return sizes.index(min(sizes))


def trie_size(data: memoryview, header: Header) -> int:
    """Where the tables end, in bytes from the beginning of the file."""
    settings = read_settings(data, header)
    words, order = header.counts[0], len(header.counts)
    offset = header.size + SortedHashes.size(words) + settings.bins(order) + (words + 2) * UNIGRAM.size
    for each, count in enumerate(header.counts[1:], start=2):
        following = header.counts[each] if each < order else None
        _, offset = _level(memoryview(b""), offset, settings, (words, count, following), (None, None))
    return offset


def _float(bits: int) -> float:
    value: float = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    return value
