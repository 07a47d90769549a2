"""What commands print: text and JSON to stdout, tables, sizes. Progress is not here; see `progress`."""

import errno
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

UNITS = ("bytes", "kB", "MB", "GB", "TB")
INDENT = "  "
WIDTH = 110  # of a line of many facts
SHOWN = 12  # names of a long list


def write(text: str) -> None:
    """Write text to stdout, which shows it at once. Raises OSError, also where stdout was closed from the start."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, "stdout is closed, and there is nowhere to print results to")
    sys.stdout.write(text)
    sys.stdout.flush()


def say(line: str = "") -> None:
    """Write one line to stdout."""
    write(line + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text; letters beyond ASCII as they are where stdout can show them, else escaped."""
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return json.dumps(value, indent=indent, ensure_ascii=not encoding.startswith("utf"))


def rounded(facts: Mapping[str, Any], decimals: int = 3) -> dict[str, Any]:
    """The same with fractions to so many places."""
    return {name: round(value, decimals) if isinstance(value, float) else value for name, value in facts.items()}


def table(rows: Iterable[tuple[str, str]], indent: str = INDENT) -> list[str]:
    """Lines of labels and values, the values in one column."""
    rows = list(rows)
    width = max((len(label) for label, _ in rows), default=0)
    return [f"{indent}{label:<{width}}  {value}".rstrip() for label, value in rows]


def wrapped(parts: Iterable[str]) -> list[str]:
    """Lines of `parts`, commas between them; a part that is longer than a line has one of its own."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 2 <= WIDTH:
            lines[-1] += f", {part}"
        else:
            lines.append(part)
    return [f"{line}," for line in lines[:-1]] + lines[-1:]


def few(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def size(count: float) -> str:
    """A number of bytes as people read it, in powers of 1000."""
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"


def number(count: int, noun: str) -> str:
    """`1 file`, `1 200 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")


def label_row(labels: Sequence[str]) -> tuple[str, str]:
    """What a classifier tells apart, for a table."""
    return "labels", f"{number(len(labels), 'label')}: {few(labels)}"
