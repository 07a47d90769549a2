"""When which label holds in a recording: read from a manifest's cell, or from an RTTM file.

Speakers have no order here: a label is a name, and names are compared as they are.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgespeech_calib.errors import DataError

RTTM = ".rttm"
SPEAKER = "SPEAKER"  # the type of RTTM's lines that say who speaks
FILE, ONSET, DURATION, NAME = 1, 3, 4, 7  # their fields
COMMENT = ";;"


@dataclass(frozen=True)
class Segment:
    """A label holds from `start` to before `end`, in seconds."""

    start: float
    end: float
    label: str


def from_cell(cell: Any, where: str) -> tuple[Segment, ...]:
    """Read a list of `[start, end, label]`, or of objects with these names. Raises DataError, which names `where`."""
    if not isinstance(cell, list):
        raise DataError(f"{where}: segments is {cell!r}; it must be a list of [start, end, label]")
    return tuple(_segment(item, where) for item in cell)


def _segment(item: Any, where: str) -> Segment:
    parts = [item.get(name) for name in ("start", "end", "label")] if isinstance(item, dict) else item
    if isinstance(parts, list) and len(parts) == 3 and isinstance(parts[2], str) and parts[2].strip():
        start, end = (_seconds(part) for part in parts[:2])
        if 0 <= start < end:  # not if one is NaN
            return Segment(start, end, parts[2].strip())
    raise DataError(
        f"{where}: the segment {item!r} is not [start, end, label] with 0 <= start < end in seconds and a label"
    )


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else math.nan


def read_rttm(path: Path) -> tuple[Segment, ...]:
    """Read who speaks when from an RTTM file; `()` if it says that nobody does.

    Where it tells of several recordings, those lines count that bear the file's own name.

    Format: https://github.com/nryant/dscore#rttm

    Raises:
        DataError: it cannot be read, or a line is not as it must be.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; RTTM is lines of fields parted by spaces") from None
    segments: list[tuple[str, Segment]] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or line.startswith(COMMENT) or fields[0] != SPEAKER:
            continue
        where = f"{path}, line {number}"
        if len(fields) <= NAME:
            raise DataError(f"{where}: {len(fields)} fields; a line of {SPEAKER} has at least {NAME + 1}")
        try:
            onset, duration = float(fields[ONSET]), float(fields[DURATION])
        except ValueError:
            onset = duration = math.nan
        if duration == 0:
            continue
        end = onset + duration
        segments.append((fields[FILE], _segment([onset, end, fields[NAME]], where)))
    is_one = len({name for name, _ in segments}) <= 1
    return tuple(segment for name, segment in segments if is_one or name == path.stem)
