"""Opening a KenLM binary file: memory-mapped, header and size checked, its words read when they are needed."""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from ....errors import LanguageModelError
from ..vocabulary import SortedWords
from .hashed import HashTable
from .header import Header, read_header
from .packed import PackedTrie, trie_size
from .search import Search


class FileWords:
    """The words at the end of a file, each ended by a zero byte; they are read when they are asked for."""

    def __init__(self, data: memoryview, offset: int) -> None:
        self._data, self._offset = data, offset
        self._sorted: SortedWords | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(bytes(self._data[self._offset :]).split(b"\0")[:-1])

    def has_prefix(self, prefix: bytes) -> bool:
        """Whether any word begins with these bytes."""
        if self._sorted is None:
            self._sorted = SortedWords.of(sorted(self))
        return self._sorted.has_prefix(prefix)


def open_kenlm(path: Path) -> tuple[Search, FileWords | None, Header]:
    """Open a file: its store, its words, its header. Raises LanguageModelError, one line without the file's name."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    header = read_header(data)
    try:
        size = trie_size(data, header) if "trie" in header.kind else HashTable.size(header)
        _check_size(data, header, size)
        table = (PackedTrie if "trie" in header.kind else HashTable)(data, header)
    except (struct.error, ValueError) as error:
        if isinstance(error, LanguageModelError):
            raise
        raise LanguageModelError(_cut(len(data))) from None
    words = FileWords(data, size) if header.has_words else None
    return Search(table, table.vocabulary, len(header.counts)), words, header


def _check_size(data: memoryview, header: Header, size: int) -> None:
    if len(data) < size or (header.has_words and len(data) == size):
        raise LanguageModelError(_cut(len(data), size))
    if not header.has_words:
        if len(data) > size:
            raise LanguageModelError(
                f"the KenLM file has {len(data)} bytes, by its header {size}: fetch or build it again"
            )
        return
    words = bytes(data[size:])
    if not words.startswith(b"<unk>\0"):
        raise LanguageModelError("the words of the KenLM file are not where they should be: fetch or build it again")
    # The header counts <unk> where the ARPA file had it, and in tries always.
    count = words.count(b"\0")
    if not words.endswith(b"\0") or count not in (header.counts[0], header.counts[0] + 1):
        message = f"has {count} words, by its header {header.counts[0]}"
        raise LanguageModelError(f"the KenLM file {message}: it is cut short or damaged, fetch or build it again")


def _cut(found: int, expected: int | None = None) -> str:
    more = "" if expected is None else f", by its header at least {expected}"
    return f"the KenLM file has {found} bytes{more}: it is cut short or damaged, fetch or build it again"
