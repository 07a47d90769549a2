"""Manifests: tables of sound files and what is said or known of them, as TSV, CSV or JSON lines.

Columns, of which only the first must be there (other names that are in use: see `NAMES`):

| column | holds |
|---|---|
| `path` | the sound file, from the manifest's folder (or from `clips/` in it) |
| `text` | what is said; an empty cell says that nothing is |
| `duration` | seconds |
| `speaker` | any name |
| `id` | a name of its own; by default the path without its ending |
| `label` | the class of the whole recording |
| `segments` | when which label holds, in JSON lines alone: a list of `[start, end, label]` in seconds; [] for never |

A TSV or CSV file begins with the names of its columns. TSV knows no quotes. Other columns are ignored.
"""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from edgespeech_calib.errors import DataError, DataMissingError
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.segments import Segment, from_cell
from edgespeech_calib.speech.utterance import Utterance

JSON_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (".tsv", ".csv", *JSON_SUFFIXES)
NAMES: dict[str, tuple[str, ...]] = {
    "path": ("path", "audio", "audio_filepath", "audio_path", "file", "file_name", "filename", "wav"),
    "text": ("text", "transcript", "sentence", "transcription"),
    "duration": ("duration", "seconds"),
    "speaker": ("speaker", "speaker_id", "client_id"),
    "id": ("id", "utterance_id", "utt_id"),
    "label": ("label", "class", "category"),
}
SEGMENTS = "segments"
CLIPS = "clips"  # where Common Voice keeps what its tables name


@dataclass(frozen=True)
class Row:
    """One line of a manifest and its number."""

    line: int
    values: Mapping[str, Any]

    def text(self, path: Path, name: str) -> str | None:
        """The cell under any of a column's names; None where there is none. Raises DataError."""
        for alias in NAMES[name]:
            value = self.values.get(alias)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise DataError(f"{path}, line {self.line}: {alias} is {value!r}; it must be text")
            return str(value).strip()
        return None

    def segments(self, path: Path) -> tuple[Segment, ...] | None:
        """When which label holds; None for no such cell. Raises DataError."""
        cell = self.values.get(SEGMENTS)
        if cell is None or path.suffix.lower() not in JSON_SUFFIXES:
            return None
        return from_cell(cell, f"{path}, line {self.line}")

    def seconds(self, path: Path) -> float | None:
        """The duration; None for no cell or an empty one. Raises DataError."""
        cell = self.text(path, "duration")
        if not cell:
            return None
        try:
            seconds = float(cell)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise DataError(
                f"{path}, line {self.line}: the duration is {cell!r}; it must be a number of seconds above 0"
            )
        return seconds


def read(path: Path) -> list[Utterance]:
    """Read a manifest. Whether the files that it names are there is not looked at.

    Raises:
        DataMissingError: there is no such manifest.
        DataError: it is no text, it has no column for the path, or a line is not as the others.
    """
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataMissingError(f"{path}: no such manifest") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; a manifest is a table of paths and texts") from None
    rows = list(_json_rows(path, content) if path.suffix.lower() in JSON_SUFFIXES else _table(path, content))
    named = []
    for row in rows:
        written = row.text(path, "path")
        if not written:
            raise DataError(f"{path}, line {row.line}: no path; every line must name a sound file")
        named.append(written)
    plain = [PurePosixPath(Path(name).as_posix()).with_suffix("").as_posix() for name in named]
    count = Counter(plain)
    return [
        Utterance(
            id=row.text(path, "id") or (short if count[short] == 1 else name),
            audio=FileAudio(_sound(path.parent, name)),
            text=_transcript(row.text(path, "text")),
            speaker=row.text(path, "speaker") or None,
            seconds=row.seconds(path),
            label=row.text(path, "label") or None,
            segments=row.segments(path),
        )
        for row, name, short in zip(rows, named, plain, strict=True)
    ]


def _sound(folder: Path, name: str) -> Path:
    path = folder / Path(name).expanduser()
    clip = folder / CLIPS / name
    return clip if not path.exists() and clip.exists() else path


def _transcript(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())


def _table(path: Path, content: str) -> Iterator[Row]:
    if path.suffix.lower() == ".csv":
        reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    else:
        reader = csv.reader(io.StringIO(content), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if not set(columns) & set(NAMES["path"]):
            names = ", ".join(filter(None, columns))[:80] or "nothing"
            raise DataError(f"{path}: the first line must name the columns, path among them; it holds {names}")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells where the first line names {len(columns)}"
                )
            yield Row(reader.line_num, dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not a line of a table ({error})") from None


def _json_rows(path: Path, content: str) -> Iterator[Row]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error})") from None
        if not isinstance(values, dict):
            raise DataError(f"{path}, line {number}: {type(values).__name__} where an object with a path must stand")
        yield Row(number, {str(name).lower(): value for name, value in values.items()})
