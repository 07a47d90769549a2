"""The options that the runtime's command line has too, as options of click."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from edgespeech_runtime.cli import options as shared
from edgespeech_runtime.cli.options import LATENCIES, Kind, Option

from edgespeech.cli.options.types import any_path, file_path

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class LatencyType(click.ParamType[Any]):
    """A name, or milliseconds."""

    name = "latency"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or the number."""
        if value in LATENCIES or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"expected {', '.join(LATENCIES)} or milliseconds, got {value!r}", param, ctx)


TYPES: dict[Kind, Callable[[], Any]] = {
    "text": lambda: click.STRING,
    "path": any_path,
    "file": file_path,
    "count": lambda: click.IntRange(min=1),
    "number": lambda: click.FLOAT,
    "positive": lambda: click.FloatRange(min=0, min_open=True),
    "probability": lambda: click.FloatRange(0, 1),
    "latency": LatencyType,
}


def given_to(command: CommandT, options: Iterable[Option]) -> CommandT:
    """Give a command these options, in their order."""
    for option in reversed(tuple(options)):
        names = (option.flag, option.destination)
        if option.kind == "flag":
            command = click.option(*names, is_flag=True, help=option.help)(command)
            continue
        kind = click.Choice(option.choices) if option.choices else TYPES[option.kind]()
        command = click.option(
            *names,
            type=kind,
            metavar=option.metavar,
            default=option.default,
            multiple=option.is_repeated,
            help=option.help,
        )(command)
    return command


def takes(*options: Option) -> Callable[[CommandT], CommandT]:
    """Decorate a command with options."""
    return lambda command: given_to(command, options)


def audio_arguments(command: CommandT, required: bool = True) -> CommandT:
    """Give a command the arguments of all that run on sound files."""
    command = click.argument("audio", nargs=-1, required=required, type=any_path())(command)
    return click.argument("bundle", type=any_path())(command)


def tunes(command: CommandT) -> CommandT:
    """Give a command the options of a search, and the one that looks for the weights of the language model."""
    help_text = "Find the --alpha and --beta with the fewest word errors on SET."
    return given_to(click.option("--tune-lm", is_flag=True, help=help_text)(command), shared.SEARCH)
