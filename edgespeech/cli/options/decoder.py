"""Options of an encoder-decoder's search: how wide it is, and what it writes."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

OPTIONS = (
    click.option(
        "--num-beams", type=click.IntRange(min=1), help="Hypotheses kept in the search of an encoder-decoder."
    ),
    click.option(
        "--language", metavar="NAME", help="Language that an encoder-decoder shall write, by name: de_DE, de."
    ),
    click.option("--max-new-tokens", type=click.IntRange(min=1), help="Tokens that an encoder-decoder writes at most."),
)


def decodes(command: CommandT) -> CommandT:
    """Give a command the options of models with a decoder, `kinds.DECODER`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
