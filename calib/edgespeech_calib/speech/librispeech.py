"""LibriSpeech's layout, as a folder or as an archive, and simple folders of sound files, which are the same without it.

`SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac`, beside them `SPEAKER-CHAPTER.trans.txt` with a line `ID TEXT` for each.
Only the names of files count, not how deep they lie. Layout: https://www.openslr.org/12
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from edgespeech_runtime.errors import AudioError, AudioPackageError

from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.archive import Archive
from edgespeech_calib.speech.audio import SUFFIXES, ArchiveAudio, AudioSource, FileAudio, Header, read_header
from edgespeech_calib.speech.utterance import Utterance

NAME = re.compile(r"(?P<speaker>\d+)-\d+-\d+")
TRANSCRIPTS = ".trans.txt"


def read_folder(folder: Path) -> list[Utterance]:
    """Find the utterances in a folder and the folders below it, sorted by path; hidden files are left out.

    Raises:
        DataError: a folder or a file of transcripts cannot be read.
    """
    return _found(folder, (path for paths in _walk(folder) for path in paths))


def walk(folder: Path, suffixes: Collection[str] = SUFFIXES) -> Iterator[Utterance]:
    """The same one by one: no more than one folder of them is held in memory, and transcripts lie beside their sounds.

    Sound files are those with these `suffixes`.

    Raises:
        DataError: as `read_folder`, when it gets there.
    """
    for paths in _walk(folder):
        yield from _found(folder, paths, suffixes)


def _found(folder: Path, paths: Iterable[Path], suffixes: Collection[str] = SUFFIXES) -> list[Utterance]:
    sounds: list[tuple[PurePosixPath, AudioSource]] = []
    texts: dict[str, str] = {}
    for path in paths:
        if path.name.endswith(TRANSCRIPTS):
            try:
                texts.update(parse_transcripts(path.read_bytes(), str(path)))
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}") from error
        elif path.suffix.lower() in suffixes:
            sounds.append((PurePosixPath(path.relative_to(folder).as_posix()), FileAudio(path)))
    return _utterances(sounds, texts)


def _walk(folder: Path) -> Iterator[list[Path]]:
    """The files of each folder."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error

    for top, inner, names in os.walk(folder, onerror=refuse, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield [Path(top) / name for name in sorted(names) if not name.startswith(".")]


def read_archive(path: Path) -> list[Utterance]:
    """Find the utterances in a tar archive, compressed or not, in their order there; nothing is unpacked.

    Raises:
        DataError: the archive is damaged, or a file of transcripts in it.
    """
    archive = Archive(path)
    sounds: list[tuple[PurePosixPath, AudioSource]] = []
    texts: dict[str, str] = {}
    for offset, name, content in archive.files():
        where = f"{path}:{name}"
        if name.endswith(TRANSCRIPTS):
            texts.update(parse_transcripts(content, where))
        elif PurePosixPath(name).suffix.lower() in SUFFIXES:
            sounds.append((PurePosixPath(name), ArchiveAudio(archive, name, offset, _header_or_error(content, where))))
    return _utterances(sounds, texts)


def _header_or_error(content: bytes, where: str) -> Header | AudioError:
    try:
        return read_header(content, where)
    except AudioPackageError:
        raise
    except AudioError as error:
        return error


def parse_transcripts(content: bytes, where: str) -> dict[str, str]:
    """Lines `ID TEXT` by their id. Raises DataError for what is no UTF-8 text."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{where} is not UTF-8 text; transcripts are lines of an id and the text") from None
    pairs = (line.strip().partition(" ") for line in lines if line.strip())
    return {name: text.strip() for name, _, text in pairs}


def _utterances(sounds: list[tuple[PurePosixPath, AudioSource]], texts: Mapping[str, str]) -> list[Utterance]:
    """LibriSpeech's utterances are called by the names of their files, others by their paths."""
    plain = [path.with_suffix("").as_posix() for path, _ in sounds]
    doubled = {name for name, count in Counter(plain).items() if count > 1}
    utterances = []
    for (path, source), name in zip(sounds, plain, strict=True):
        match = NAME.fullmatch(path.stem)
        has_id = match is not None or path.stem in texts
        own = path.stem if has_id else path.as_posix() if name in doubled else name
        speaker, folder = match["speaker"] if match else None, path.parent.name or None
        utterances.append(Utterance(own, source, texts.get(path.stem), speaker, folder=folder))
    return utterances
