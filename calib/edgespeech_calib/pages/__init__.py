"""HTML pages, from the templates beside this module. A page needs nothing from outside: no script, font or image."""

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

MINUS = "\N{MINUS SIGN}"
NUMBER = re.compile(rf"[+{MINUS}-]?\d[\d.,]*( ?%| [xsMkG]B?| ms| MB| kB| GB)?( to [+{MINUS}-]?\d[\d.]*)?")
NOTHING = ("", "-", "unknown", "not measured")
PROSE = 40  # letters from which on a cell is text that wraps


def render(template: str, **values: Any) -> str:
    """Return the page that a template makes of the values; texts among them are escaped."""
    return _environment().get_template(f"{template}.html.j2").render(**values)


def percent(rate: float) -> str:
    """`3.65 %`."""
    return f"{100 * rate:.2f} %"


def signed(rate: float) -> str:
    """`+0.12`: a difference in percentage points."""
    text = f"{100 * abs(rate):.2f}"
    return text if float(text) == 0 else f"{'+' if rate > 0 else MINUS}{text}"


def megabytes(count: float) -> str:
    """`12.3 MB`."""
    return f"{count / 1e6:.1f} MB"


def number(count: int, noun: str) -> str:
    """`1 utterance`, `2 utterances`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def breakable(name: str) -> Markup:
    """A dotted name that may be broken behind its dots."""
    return Markup(".<wbr/>").join(escape(part) for part in name.split("."))


def kinds(rows: Sequence[Sequence[str]]) -> list[str]:
    """What stands in each column of a table: "number", "prose", or "" for short texts."""
    return [_kind([cell.strip() for cell in column]) for column in zip(*rows, strict=True)]


def _kind(cells: Sequence[str]) -> str:
    said = [cell for cell in cells if cell not in NOTHING]
    if all(NUMBER.fullmatch(cell) for cell in said):
        return "number"
    return "prose" if any(len(cell) > PROSE for cell in said) else ""


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("edgespeech_calib", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, signed=signed, number=number, kinds=kinds, breakable=breakable)
    return environment
