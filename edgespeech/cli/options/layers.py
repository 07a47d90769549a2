"""`--layers`: which hidden states an export takes in place of a head."""

from typing import Any

import click


class Layers(click.ParamType[Any]):
    """ "last", "all", or numbers of hidden states with commas between them."""

    name = "layers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word, or a tuple of numbers."""
        if isinstance(value, tuple) or value in ("last", "all"):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"expected last, all, or numbers as in 6 or 0,6,12; got {value!r}", param, ctx)
        return tuple(int(part) for part in parts)


layers_option = click.option(
    "--layers",
    type=Layers(),
    metavar="LAYERS",
    help="Export hidden states in place of a head: last, all, or numbers as in 6 or 0,6,12.",
)
