"""Our own file of an n-gram model, read where it lies: opening it reads a header and nothing else.

Layout, little-endian: 16 bytes of magic text with the version; the CRC-32 of all that follows it (uint32); the length
of the header (uint32); the header, JSON: `order`, `words`, `counts`, and for each array its type, offset behind the
header and length; then the arrays, each at a multiple of 8 bytes. They are those of a `Trie`: the words' text and ends;
of each order n its words, probabilities, back-off weights and first extensions. Values are float32, or uint8 numbers of
bins, with an array of what each bin stands for. First extensions are uint32, or uint16 counted from a base that is
stored for every 256 entries.
"""

import json
import mmap
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import LanguageModelError
from .trie import Level, Trie
from .vocabulary import SortedWords

NAME = b"edgespeech lm "
VERSION = 1
MAGIC = NAME + b"%d\n" % VERSION
HEADER = struct.Struct("<16sII")
BLOCK = 256  # entries that share a base
CHECKED = 2**26  # bytes up to which the checksum is verified when a file is opened
TYPES = ("u1", "<u2", "<u4", "<f4")
Arrays = dict[str, npt.NDArray[Any]]


def is_compact(beginning: bytes) -> bool:
    """Whether a file that begins so is one of ours, of whatever version."""
    return beginning.startswith(NAME)


def open_compact(path: Path) -> Trie:
    """Open a file. Raises LanguageModelError, one line without the file's name."""
    facts, arrays = read_arrays(path)
    try:
        levels = [_level(arrays, order, facts["order"]) for order in range(1, facts["order"] + 1)]
        words = SortedWords(arrays["text"], arrays["ends"])
    except KeyError as error:
        raise LanguageModelError(f"its header has no {error}: fetch or build it again") from None
    _check_lengths(levels, words, facts["counts"])
    return Trie(words, levels)


def read_arrays(path: Path, check: bool = False) -> tuple[dict[str, Any], Arrays]:
    """The header and the memory-mapped arrays; with `check`, the checksum is verified however large the file is."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if len(data) < HEADER.size:
        raise LanguageModelError("it ends in its header: it is cut short, fetch or build it again")
    magic, checksum, length = HEADER.unpack_from(data)
    if magic.rstrip(b"\0") != MAGIC:
        version = magic[len(NAME) :].split(b"\n")[0].decode("ascii", "replace")
        raise LanguageModelError(f"it has version {version}, this runtime reads {VERSION}: upgrade edgespeech-runtime")
    try:
        facts = json.loads(bytes(data[HEADER.size : HEADER.size + length]))
        arrays = {name: _array(data, HEADER.size + length, *entry) for name, entry in facts["arrays"].items()}
        is_sound = 1 <= facts["order"] == len(facts["counts"])
    except (ValueError, KeyError, TypeError, AttributeError):
        is_sound = False
    if is_sound and (check or len(data) <= CHECKED):
        is_sound = zlib.crc32(data[HEADER.size - 4 :]) == checksum
    if not is_sound:
        raise LanguageModelError("it is cut short or damaged: fetch or build it again")
    return facts, arrays


def to_bytes(facts: dict[str, Any], arrays: Arrays) -> bytes:
    """A whole file of facts (`order`, `words`, `counts`) and arrays."""
    entries, parts, offset = {}, [], 0
    for name, array in arrays.items():
        kind = array.dtype.newbyteorder("<").str.replace("|", "")
        part = array.astype(kind).tobytes()
        entries[name] = [kind, offset, len(array)]
        parts.append(part.ljust(-(-len(part) // 8) * 8, b"\0"))
        offset += len(parts[-1])
    header = json.dumps({**facts, "arrays": entries}).encode("ascii")
    header = header.ljust(-(-(HEADER.size + len(header)) // 8) * 8 - HEADER.size)
    rest = struct.pack("<I", len(header)) + header + b"".join(parts)
    return struct.pack("<16sI", MAGIC, zlib.crc32(rest)) + rest


def _array(data: memoryview, base: int, kind: str, offset: int, length: int) -> npt.NDArray[Any]:
    if kind not in TYPES or offset < 0 or length < 0:
        raise ValueError(kind)
    return np.frombuffer(data, kind, length, base + offset)


class Bins(Sequence[float]):
    """Values by the numbers of their bins."""

    def __init__(self, numbers: npt.NDArray[np.uint8], values: npt.NDArray[np.float32]) -> None:
        self._numbers, self._values = numbers.data, [*values.tolist(), *[0.0] * (256 - len(values))]

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        return self._values[self._numbers[index]]


class Offsets(Sequence[int]):
    """Growing numbers, each counted from the base of its block."""

    def __init__(self, bases: npt.NDArray[np.uint32], rests: npt.NDArray[np.uint16]) -> None:
        self._bases, self._rests = bases.data, rests.data

    def __len__(self) -> int:
        return len(self._rests)

    def __getitem__(self, index: Any) -> Any:
        return self._bases[index // BLOCK] + self._rests[index]


def _level(arrays: Arrays, order: int, highest: int) -> Level:
    empty = np.zeros(0, np.uint32).data
    is_last = order == highest
    return Level(
        empty if order == 1 else arrays[f"{order}.words"].data,
        _values(arrays, f"{order}.probabilities"),
        empty if is_last else _values(arrays, f"{order}.backoffs"),
        empty if is_last else _offsets(arrays, f"{order}.first"),
    )


def _values(arrays: Arrays, name: str) -> Sequence[float]:
    array = arrays[name]
    return array.data if array.dtype == np.float32 else Bins(array, arrays[f"{name}.bins"])


def _offsets(arrays: Arrays, name: str) -> Sequence[int]:
    array = arrays[name]
    return array.data if array.dtype == np.uint32 else Offsets(arrays[f"{name}.bases"], array)


def _check_lengths(levels: list[Level], words: SortedWords, counts: list[int]) -> None:
    is_sound = len(words) == counts[0]
    for order, (level, count) in enumerate(zip(levels, counts, strict=True), start=1):
        is_sound &= len(level.probabilities) == count and (order == 1 or len(level.words) == count)
        if order < len(counts):
            is_sound &= len(level.backoffs) == count and len(level.first) == count + 1
            is_sound = is_sound and level.first[count] == counts[order]
    if not is_sound:
        raise LanguageModelError("the lengths in its header contradict each other: fetch or build it again")
