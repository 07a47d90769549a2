"""Manifests: tables of sound files and what is said or known of them, as TSV, CSV or JSON lines.

Columns, of which only the first must be there (other names that are in use: see `NAMES`):

| column | holds |
|---|---|
| `path` | the sound file, from the manifest's folder (or from `clips/` in it) |
| `text` | what is said; an empty cell says that nothing is |
| `duration` | seconds |
| `offset` | where in the file the utterance begins, in seconds; it has `duration` then, or goes on to the end |
| `speaker` | any name |
| `id` | a name of its own; by default the path without its ending |
| `label` | the class of the whole recording |
| `segments` | when which label holds, in JSON lines alone: a list of `[start, end, label]` in seconds; [] for never |

A TSV or CSV file begins with the names of its columns; TSV knows no quotes. A TSV file may also begin with a folder, as
fairseq's lists for wav2vec do: each line then names a file in it. JSON lines may be cuts of Lhotse (`cuts`). All may be
compressed by gzip. Other columns are ignored. Lines are read one by one: `stream` holds no more in memory.
"""

import gzip
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgespeech_calib.errors import DataError, DataMissingError
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.cuts import CHANNEL
from edgespeech_calib.speech.lines import JSON_SUFFIXES, Line, LineError, parsed, suffix
from edgespeech_calib.speech.lines import SUFFIXES as SUFFIXES
from edgespeech_calib.speech.parts import Part
from edgespeech_calib.speech.segments import Segment, from_cell
from edgespeech_calib.speech.utterance import Utterance

NAMES: dict[str, tuple[str, ...]] = {
    "path": ("path", "audio", "audio_filepath", "audio_path", "file", "file_name", "filename", "wav"),
    "text": ("text", "transcript", "sentence", "transcription", "tgt_text"),
    "duration": ("duration", "seconds"),
    "offset": ("offset",),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "id": ("id", "utterance_id", "utt_id"),
    "label": ("label", "class", "category"),
}
SEGMENTS = "segments"
CLIPS = "clips"  # where Common Voice keeps what its tables name


@dataclass(frozen=True)
class Row:
    """One line of the manifest `path`, and its number. All methods raise DataError, which names both."""

    path: Path
    line: int
    values: Mapping[str, Any]

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.path}, line {self.line}"

    def text(self, name: str) -> str | None:
        """The cell under any of a column's names; None where there is none."""
        for alias in NAMES[name]:
            value = self.values.get(alias)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise DataError(f"{self.where}: {alias} is {value!r}; it must be text")
            return str(value).strip()
        return None

    def written_path(self) -> str:
        """The sound file as the manifest names it."""
        written = self.text("path")
        if not written:
            raise DataError(f"{self.where}: no path; every line must name a sound file")
        return written

    def segments(self) -> tuple[Segment, ...] | None:
        """When which label holds; None for no such cell."""
        cell = self.values.get(SEGMENTS)
        if cell is None or suffix(self.path) not in JSON_SUFFIXES:
            return None
        return from_cell(cell, self.where)

    def seconds(self) -> float | None:
        """The duration; None for no cell or an empty one."""
        seconds = self._number("duration")
        if seconds is not None and not 0 < seconds < math.inf:
            raise DataError(
                f"{self.where}: the duration is {self.text('duration')!r}; it must be a number of seconds above 0"
            )
        return seconds

    def part(self) -> Part | None:
        """Which part of the file it is; None for the whole."""
        offset = self._number("offset")
        channel = self.values.get(CHANNEL)
        if offset is None:
            return None if channel is None else Part(channel=channel)
        if not 0 <= offset < math.inf:
            raise DataError(
                f"{self.where}: the offset is {self.text('offset')!r}; it must be a number of seconds, 0 or more"
            )
        return Part(offset, self.seconds(), channel)

    def utterance(self, name: str) -> Utterance:
        """The utterance, which is called `name`."""
        return Utterance(
            id=name,
            audio=FileAudio(_sound(self.path.parent, self.written_path()), self.part()),
            text=_transcript(self.text("text")),
            speaker=self.text("speaker") or None,
            seconds=self.seconds(),
            label=self.text("label") or None,
            segments=self.segments(),
        )

    def _number(self, name: str) -> float | None:
        """NaN for what is no number."""
        cell = self.text(name)
        if not cell:
            return None
        try:
            return float(cell)
        except ValueError:
            return math.nan


def is_manifest(path: Path) -> bool:
    """Whether a file is a manifest, by its name."""
    return suffix(path) in SUFFIXES


def stream(path: Path) -> Iterator[Row | LineError]:
    """Each line of a manifest: a row, or what is wrong with it. Blank lines at the end are none.

    Raises:
        DataMissingError: there is no such manifest.
        DataError: it cannot be read, or its first line does not name the columns.
    """
    blank: list[LineError] = []
    for item in parsed(path, _lines(path), NAMES["path"]):
        if isinstance(item, LineError):
            if item.is_blank:
                blank.append(item)
                continue
            found: Row | LineError = item
        else:
            found = Row(path, *item)
        yield from blank
        blank.clear()
        yield found


def _lines(path: Path) -> Iterator[Line]:
    """Number and text, or None for what is no UTF-8."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            for number, content in enumerate(file, start=1):
                try:
                    text: str | None = content.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    text = None
                yield number, text
    except FileNotFoundError:
        raise DataMissingError(f"{path}: no such manifest") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read(path: Path) -> list[Utterance]:
    """Read a manifest. Whether the files that it names are there is not looked at. Blank lines are passed over.

    Raises:
        DataMissingError: there is no such manifest.
        DataError: it is no text, it has no column for the path, or a line is not as the others.
    """
    rows = []
    for row in stream(path):
        if isinstance(row, Row):
            rows.append((row, row.written_path()))
        elif not row.is_blank:
            raise DataError(row.reason)
    plain = [PurePosixPath(Path(name).as_posix()).with_suffix("").as_posix() for _, name in rows]
    count = Counter(plain)
    return [
        row.utterance(row.text("id") or (short if count[short] == 1 else name))
        for (row, name), short in zip(rows, plain, strict=True)
    ]


def _sound(folder: Path, name: str) -> Path:
    path = folder / Path(name).expanduser()
    if not (folder / CLIPS).is_dir() or path.exists():
        return path
    clip = folder / CLIPS / name
    return clip if clip.exists() else path


def _transcript(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())
