"""The command line of `edgespeech-runtime` in argparse: commands, what they take, their help."""

import argparse
import math
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import options
from .commands import classify, devices, live, transcribe
from .errors import CommandError
from .options import LATENCIES, Kind, Option

PROGRAM = "edgespeech-runtime"
HELP_WIDTH = 79  # characters of a line
BUNDLE = ("bundle", {"metavar": "BUNDLE", "type": Path, "help": "Folder of a model."})
AUDIO = ("audio", {"metavar": "AUDIO", "type": Path, "nargs": "+", "help": "Sound files and folders."})


@dataclass(frozen=True)
class Command:
    """A command: its help, what it takes, and what runs it with the values of that and returns the exit code."""

    short: str
    help: str
    usage: str
    arguments: tuple[tuple[str, dict[str, Any]], ...]
    options: tuple[Option, ...]
    run: Callable[[dict[str, Any]], int]


def _run_transcribe(values: dict[str, Any]) -> int:
    return transcribe.transcribe(values.pop("bundle"), values.pop("audio"), values)


def _run_classify(values: dict[str, Any]) -> int:
    return classify.classify(values.pop("bundle"), values.pop("audio"), values)


def _run_live(values: dict[str, Any]) -> int:
    return live.live(values.pop("bundle"), values)


def _run_devices(values: dict[str, Any]) -> int:
    return devices.devices(values["as_json"])


def _run_check(values: dict[str, Any]) -> int:
    return devices.check(values["bundle"], values["as_json"])


COMMANDS = {
    "transcribe": Command(
        transcribe.SHORT,
        transcribe.HELP,
        "BUNDLE AUDIO... [OPTIONS]",
        (BUNDLE, AUDIO),
        options.TRANSCRIBE,
        _run_transcribe,
    ),
    "classify": Command(
        classify.SHORT, classify.HELP, "BUNDLE AUDIO... [OPTIONS]", (BUNDLE, AUDIO), options.CLASSIFY, _run_classify
    ),
    "live": Command(
        live.SHORT,
        live.HELP,
        "[BUNDLE] [OPTIONS]",
        ((BUNDLE[0], {**BUNDLE[1], "nargs": "?"}),),  # not needed for --list-devices
        options.LIVE,
        _run_live,
    ),
    "devices": Command(devices.SHORT, devices.HELP, "[--json]", (), (options.JSON,), _run_devices),
    "check": Command(
        devices.SHORT_CHECK, devices.HELP_CHECK, "BUNDLE [--json]", (BUNDLE,), (options.JSON,), _run_check
    ),
}


class Parser(argparse.ArgumentParser):
    """One command's parser, whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise CommandError."""
        raise CommandError(f"{message}; see {self.prog} --help")


def parsed(name: str, arguments: Iterable[str]) -> dict[str, Any]:
    """The values of a command's arguments and options. Raises CommandError; `--help` ends the program."""
    parser = make(name)
    values = vars(parser.parse_intermixed_args(list(arguments)))
    for option in COMMANDS[name].options:
        if option.is_repeated:
            values[option.destination] = tuple(values[option.destination] or option.default)
    return values


def make(name: str) -> Parser:
    """The parser of a command."""
    command = COMMANDS[name]
    parser = Parser(
        prog=f"{PROGRAM} {name}",
        usage=f"%(prog)s {command.usage}",
        description="\n\n".join(textwrap.fill(part, HELP_WIDTH) for part in command.help.strip().split("\n\n")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument, settings in command.arguments:
        parser.add_argument(argument, **settings)
    for option in command.options:
        _add(parser, option)
    return parser


def _add(parser: Parser, option: Option) -> None:
    settings: dict[str, Any] = {"dest": option.destination, "help": option.help.replace("%", "%%")}
    if option.kind == "flag":
        parser.add_argument(option.flag, action="store_true", **settings)
        return
    if option.choices:
        settings["choices"] = option.choices
    else:
        settings["metavar"] = option.metavar or {"count": "N", "number": "X", "positive": "X"}.get(
            option.kind, option.destination.upper().replace("_", "-")
        )
    default = None if option.is_repeated else option.default
    action = "append" if option.is_repeated else "store"
    parser.add_argument(option.flag, action=action, type=TYPES[option.kind], default=default, **settings)


def _count(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return number


def _positive(text: str) -> float:
    if (number := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _probability(text: str) -> float:
    if not 0 <= (number := _number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return number


def _latency(text: str) -> str | int:
    if text in LATENCIES:
        return text
    try:
        return int(text)
    except ValueError:
        expected = ", ".join(LATENCIES)
        raise argparse.ArgumentTypeError(f"expected {expected} or milliseconds, got {text!r}") from None


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text}")
    return path


TYPES: dict[Kind, Callable[[str], Any]] = {
    "text": str,
    "path": Path,
    "file": _file,
    "count": _count,
    "number": _number,
    "positive": _positive,
    "probability": _probability,
    "latency": _latency,
}
