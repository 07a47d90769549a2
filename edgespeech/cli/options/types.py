"""Types of options that more than one command has."""

from pathlib import Path
from typing import Any

import click


def any_path() -> click.Path:
    """A path."""
    return click.Path(path_type=Path)


def file_path() -> click.Path:
    """A path that must not be a folder."""
    return click.Path(path_type=Path, dir_okay=False)


class Seconds(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Read "2,5,10"; fail with a sentence for anything else."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"expected seconds with commas between them, as 2,5,10, got {value!r}", param, ctx)
