"""HTML pages, from the templates beside this module. A page needs nothing from outside: no script, font or image."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

MINUS = "\N{MINUS SIGN}"


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


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("edgespeech_calib", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, signed=signed)
    return environment
