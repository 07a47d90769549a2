"""Lists: which utterances of a set were chosen, with length and checksum of each, and how; no sound and no text.

    # edgespeech list 1
    # set: LibriSpeech/train-clean-100
    # drawn: spread over speakers and lengths, 128 of 252 utterances, seed 0
    id  seconds  sha256
    103-1240-0000  14.085  8c1f...

The fields are parted by tabs. `# root: PATH`, from the list's folder, says where the set lies if it lies fixed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgespeech_runtime.errors import AudioError, AudioPackageError

from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.home import data_home
from edgespeech_calib.speech.utterance import Skipped, Utterance

MAGIC = "# edgespeech list "
VERSION = 1
COLUMNS = ("id", "seconds", "sha256")
LISTS_END = 1 << 10  # bytes of a file that are looked at to see what it is


@dataclass(frozen=True)
class Entry:
    """One utterance of a list: id, length in seconds, SHA-256 of its file."""

    id: str
    seconds: float
    sha256: str


@dataclass(frozen=True)
class ListFile:
    """A list, and what its head says about it, by name."""

    entries: tuple[Entry, ...]
    facts: dict[str, str] = field(default_factory=dict)


def is_list(path: Path) -> bool:
    """Whether a file begins as lists do. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(LISTS_END).startswith(MAGIC.encode())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read(path: Path) -> ListFile:
    """Read a list.

    Raises:
        DataError: it is damaged, of a newer version, empty, or names an utterance twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; draw the list again") from None
    version = lines[0].removeprefix(MAGIC).strip()
    if version != str(VERSION):
        raise DataError(f"{path} is a list of version {version}, this edgespeech reads {VERSION}; upgrade edgespeech")
    head = [line[1:].partition(":") for line in lines[1:] if line.startswith("#")]
    facts = {name.strip(): value.strip() for name, _, value in head}
    body = [(number, line) for number, line in enumerate(lines, start=1) if line and not line.startswith("#")]
    if not body or tuple(body[0][1].split("\t")) != COLUMNS:
        raise DataError(f"{path}: expected a line with the columns {', '.join(COLUMNS)}; draw the list again")
    entries = tuple(_entry(path, number, line) for number, line in body[1:])
    if not entries:
        raise DataError(f"{path} lists no utterances")
    if len({entry.id for entry in entries}) < len(entries):
        raise DataError(f"{path} names an utterance twice; draw the list again")
    return ListFile(entries, facts)


def _entry(path: Path, number: int, line: str) -> Entry:
    try:
        name, seconds, digest = line.split("\t")
        entry = Entry(name, float(seconds), digest.lower())
        is_sound = name and 0 < entry.seconds < math.inf and len(digest) == 64 and int(digest, 16) >= 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise DataError(f"{path}, line {number}: expected an id, seconds and a SHA-256, parted by tabs")
    return entry


def roots(listed: ListFile, path: Path) -> list[Path]:
    """Where a list's set may lie, in the order of search: where the list says, beside it, where subsets are fetched."""
    sources = [path.parent]
    if "root" in listed.facts:
        sources.insert(0, path.parent / Path(listed.facts["root"]).expanduser())
    if "set" in listed.facts:
        sources.append(data_home() / f"{Path(listed.facts['set']).name}.tar.gz")
    return sources


def unchanged(listed: ListFile, utterances: Iterable[Utterance]) -> tuple[list[Utterance], list[Skipped]]:
    """Part utterances whose file has the list's checksum from those whose file has another."""
    promised = {entry.id: entry for entry in listed.entries}
    same, changed = [], []
    for utterance in utterances:
        try:
            if utterance.audio.sha256() == promised[utterance.id].sha256:
                same.append(utterance)
            else:
                changed.append(Skipped(utterance.id, f"{utterance.audio.name} has another SHA-256 than the list says"))
        except AudioPackageError:
            raise
        except AudioError as error:
            changed.append(Skipped(utterance.id, str(error)))
    return same, changed


def write(path: Path, utterances: Sequence[Utterance], facts: dict[str, str]) -> ListFile:
    """Write a list of utterances whose lengths are known; `facts` go into its head.

    Raises:
        DataError: a file is damaged, an id or a fact has a tab or a line break in it, or the list cannot be written.
    """
    entries = []
    for utterance in utterances:
        if utterance.seconds is None:
            raise DataError(f"the length of {utterance.id} is not known; open the set it is from")
        try:
            entries.append(Entry(utterance.id, round(utterance.seconds, 4), utterance.audio.sha256()))
        except AudioError as error:
            raise DataError(str(error)) from error
    body = sorted(entries, key=lambda entry: entry.id)
    lines = [f"{MAGIC}{VERSION}", *(f"# {name}: {value}" for name, value in facts.items()), "\t".join(COLUMNS)]
    lines += [f"{entry.id}\t{entry.seconds:.4f}\t{entry.sha256}" for entry in body]
    if any(len(line.splitlines()) != 1 for line in lines) or any("\t" in entry.id for entry in body):
        raise DataError("an id or a fact holds a tab or a line break, which a list cannot hold; give it another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error
    return ListFile(tuple(body), facts)
