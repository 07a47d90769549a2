"""The entries of a corpus, one by one in the order of its manifest or folder; those that are wrong are entries too."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.cli.recordings import SUFFIXES

from edgespeech_calib.errors import CorpusError, DataError, DataMissingError
from edgespeech_calib.speech import librispeech, manifests
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.lines import LineError
from edgespeech_calib.speech.manifests import Row
from edgespeech_calib.speech.utterance import Utterance


@dataclass(frozen=True)
class Entry:
    """The recording on line `line` of a manifest (of a folder: the number of the file), or what is wrong there.

    Attributes:
        id: unique among entries without an error.
        utterance: None where there is an error.
        error: a sentence that names the line.
    """

    line: int
    id: str
    utterance: Utterance | None
    error: str | None = None

    @property
    def seconds(self) -> float | None:
        """Length as far as the manifest says it."""
        return None if self.utterance is None else self.utterance.seconds


@dataclass(frozen=True)
class Corpus:
    """A manifest or a folder of recordings.

    Attributes:
        path: where it lies, absolute.
        entries: how many there are.
        sha256: of the manifest; of a folder, of the names in it.
        doubled: hashes of ids that more than one entry has.
    """

    path: Path
    entries: int
    sha256: str
    doubled: frozenset[int] = field(default=frozenset(), repr=False)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in order; of several with one id the first is taken. Not more than one is held in memory."""
        first: dict[str, int] = {}
        for entry in _raw(self.path):
            if entry.utterance is None or _hash(entry.id) not in self.doubled:
                yield entry
                continue
            line = first.setdefault(entry.id, entry.line)
            if line == entry.line:
                yield entry
            else:
                error = f"{self.path}, line {entry.line}: the id {entry.id!r} is that of line {line} too"
                yield Entry(entry.line, entry.id, None, error)


def open_corpus(path: str | Path) -> Corpus:
    """Count the entries of a manifest or a folder, and look for ids that are there twice.

    Memory: eight bytes an entry. Raises DataMissingError, DataError for what is no corpus, CorpusError for none in it.
    """
    location = Path(path).expanduser().absolute()
    if not location.exists():
        raise DataMissingError(f"{path}: no such manifest, and no such folder")
    if not location.is_dir() and not manifests.is_manifest(location):
        raise DataError(
            f"{path} is no manifest: give a folder, or a file that ends in {', '.join(manifests.SUFFIXES)}, with or "
            "without .gz"
        )
    hashes = _Hashes()
    names = hashlib.sha256()
    for entry in _raw(location):
        hashes.add(_hash(entry.id) if entry.utterance is not None else None)
        if location.is_dir():
            names.update(f"{entry.id}\0{_path(entry)}\0".encode(errors="surrogateescape"))
    if not hashes.count:
        raise CorpusError(f"{path} names no recordings")
    digest = names.hexdigest() if location.is_dir() else sha256(location)
    return Corpus(location, hashes.count, digest, hashes.doubled())


class _Hashes:
    """Hashes of ids, in arrays: a set of Python's would need ten times the memory."""

    def __init__(self) -> None:
        self.count = 0
        self._filled, self._last = 0, np.zeros(1024, np.uint64)

    def add(self, value: int | None) -> None:
        """Take the next; None is counted alone."""
        self.count += 1
        if value is None:
            return
        if self._filled == len(self._last):
            self._last = np.concatenate([self._last, np.zeros(len(self._last) // 2, np.uint64)])
        self._last[self._filled] = value
        self._filled += 1

    def doubled(self) -> frozenset[int]:
        """Those that came more than once."""
        ordered: npt.NDArray[np.uint64] = np.sort(self._last[: self._filled])
        return frozenset(map(int, ordered[1:][ordered[1:] == ordered[:-1]]))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest(), "big")


def _raw(location: Path) -> Iterator[Entry]:
    """The entries as they stand there, whether or not ids are doubled."""
    if location.is_dir():
        for number, utterance in enumerate(librispeech.walk(location, SUFFIXES), start=1):
            yield Entry(number, utterance.id, utterance)
        return
    for row in manifests.stream(location):
        if isinstance(row, LineError):
            yield Entry(row.line, row.id or f"line {row.line}", None, row.reason)
            continue
        yield _entry(row)


def from_columns(columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> list[Entry]:
    """The entries of a batch of columns, as frameworks for data hand them over; paths are those of this process."""
    names = list(columns)
    entries = []
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        values = {name.lower(): _plain(cell) for name, cell in zip(names, cells, strict=True)}
        entries.append(_entry(Row(Path.cwd() / "batch", number, values)))
    return entries


def _plain(cell: Any) -> Any:
    """A cell as JSON would hold it; None for the NaN that stands for a missing one."""
    value = cell.item() if isinstance(cell, np.generic) else cell
    return None if isinstance(value, float) and value != value else value


def _entry(row: Row) -> Entry:
    try:
        name = row.text("id") or _derived(row)
        return Entry(row.line, name, row.utterance(name))
    except DataError as error:
        return Entry(row.line, _name(row), None, str(error))


def _derived(row: Row) -> str:
    """The path as it is written, with the part of the file behind it."""
    part = row.part()
    if part is None:
        return row.written_path()
    end = "" if part.seconds is None else f"+{part.seconds:g}"
    channel = "" if part.channel is None else f"#{part.channel}"
    return f"{row.written_path()}@{part.offset:g}{end}{channel}"


def _name(row: Row) -> str:
    """The id of a row in which something is wrong, as far as it has one."""
    for name in ("id", "path"):
        try:
            if found := row.text(name):
                return found
        except DataError:
            continue
    return f"line {row.line}"


def _path(entry: Entry) -> str:
    utterance = entry.utterance
    return str(utterance.audio.path) if utterance is not None and isinstance(utterance.audio, FileAudio) else ""
