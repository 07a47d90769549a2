"""Lines of a manifest to values by column: TSV, CSV, JSON lines. Lines that are wrong are told, not raised."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.cuts import flattened, is_cut

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (".tsv", ".csv", *JSON_SUFFIXES)
COMPRESSED = ".gz"

Line: TypeAlias = tuple[int, str | None]  # its number, and its text; None for what is no UTF-8
Values: TypeAlias = tuple[int, dict[str, Any]]  # the number of the line on which they end


class LineError(NamedTuple):
    """What is wrong with a line, in a sentence that names it; `id` is what the line calls itself, if that is known."""

    line: int
    reason: str
    is_blank: bool = False
    id: str | None = None


def suffix(path: Path) -> str:
    """The ending that says what a manifest is, that of compression left out."""
    name = Path(path.name[: -len(COMPRESSED)]) if path.name.lower().endswith(COMPRESSED) else path
    return name.suffix.lower()


def parsed(path: Path, lines: Iterator[Line], path_columns: Sequence[str]) -> Iterator[Values | LineError]:
    """The values of each line of the manifest `path`, whose tables have one of the `path_columns`.

    Raises DataError where the first line does not name the columns.
    """
    if suffix(path) in JSON_SUFFIXES:
        return (_json(path, *line) for line in lines)
    return _table(path, lines, path_columns)


def _json(path: Path, number: int, text: str | None) -> Values | LineError:
    where = f"{path}, line {number}"
    if text is None:
        return _not_text(path, number)
    if not text.strip():
        return _blank(path, number)
    try:
        values = json.loads(text.rstrip())
    except (ValueError, RecursionError) as error:
        return LineError(number, f"{where}: not JSON ({error})")
    if not isinstance(values, dict):
        return LineError(number, f"{where}: {type(values).__name__} where an object with a path must stand")
    if is_cut(values):
        try:
            return number, flattened(values)
        except DataError as error:
            name = values.get("id")
            return LineError(number, f"{where}: {error}", id=name if isinstance(name, str) else None)
    return number, {str(name).lower(): value for name, value in values.items()}


def _table(path: Path, lines: Iterator[Line], path_columns: Sequence[str]) -> Iterator[Values | LineError]:
    records = _csv(path, lines) if suffix(path) == ".csv" else _tsv(path, lines)
    first = next(records, (1, []))
    if isinstance(first, LineError):
        raise DataError(first.reason)
    columns = [name.strip().lower() for name in first[1]]
    if len(columns) == 1 and not set(columns) & set(path_columns) and _is_folder(path, first[1][0].strip()):
        folder = first[1][0].strip()
        for record in records:
            yield record if isinstance(record, LineError) else (record[0], {"path": f"{folder}/{record[1][0]}"})
        return
    if not set(columns) & set(path_columns):
        names = ", ".join(filter(None, columns))[:80] or "nothing"
        raise DataError(f"{path}: the first line must name the columns, path among them; it holds {names}")
    for record in records:
        if isinstance(record, LineError):
            yield record
        elif len(record[1]) != len(columns):
            found = f"{len(record[1])} cells where the first line names {len(columns)}"
            yield LineError(record[0], f"{path}, line {record[0]}: {found}")
        else:
            yield record[0], dict(zip(columns, record[1], strict=True))


def _is_folder(path: Path, name: str) -> bool:
    """Whether a first line is the folder of one of fairseq's lists."""
    try:
        return bool(name) and (path.parent / name).is_dir()
    except (OSError, ValueError):
        return False


def _tsv(path: Path, lines: Iterator[Line]) -> Iterator[tuple[int, list[str]] | LineError]:
    for number, text in lines:
        if text is None:
            yield _not_text(path, number)
            continue
        cells = text.rstrip("\r\n").split("\t")
        yield (number, cells) if any(cells) else _blank(path, number)


def _csv(path: Path, lines: Iterator[Line]) -> Iterator[tuple[int, list[str]] | LineError]:
    last, wrong = 0, False

    def texts() -> Iterator[str]:
        nonlocal last, wrong
        for number, text in lines:
            last, wrong = number, wrong or text is None
            yield text or "\n"

    reader = csv.reader(texts(), strict=True)
    while True:
        wrong = False
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield LineError(last, f"{path}, line {last}: not a line of a table ({error})")
            continue
        if wrong:
            yield _not_text(path, last)
        else:
            yield (last, cells) if any(cells) else _blank(path, last)


def _blank(path: Path, number: int) -> LineError:
    return LineError(number, f"{path}, line {number}: the line is empty", is_blank=True)


def _not_text(path: Path, number: int) -> LineError:
    return LineError(number, f"{path}, line {number}: is not UTF-8 text; a manifest is a table of paths and texts")
