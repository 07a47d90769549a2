"""The program `edgespeech-runtime`: its list of commands, and the frame in which each of them runs."""

import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from .errors import CommandError, Program, exit_code, prepare_streams, say_warning
from .interrupts import Interrupts
from .parser import COMMANDS, PROGRAM, parsed

HELP = f"""Usage: {PROGRAM} COMMAND [ARGUMENTS]

Runs the models that edgespeech has exported to bundles.

  {PROGRAM} transcribe BUNDLE speech.flac

Commands:
{{commands}}

Options:
  --version   Show the version.
  -h, --help  Show this text; behind a command, that of the command.

Exit codes: 0 done; 1 some of several files failed; 2 bad input or a failed run, with one line that says why;
130 or 143 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program on these arguments, by default the process's own, and exit."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    Program.name = PROGRAM
    prepare_streams()
    warnings.showwarning = say_warning
    with Interrupts():
        sys.exit(exit_code(lambda: run(given)))


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code. Raises CommandError and what the runtime raises."""
    for argument in arguments:
        if "\0" in argument:
            raise CommandError(f"{argument!r} cannot be the name of a file: it has a null byte")
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        listed = "\n".join(f"  {each:<{width}}  {command.short}" for each, command in COMMANDS.items())
        print(HELP.format(commands=listed), end="")
        return 0
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    if name not in COMMANDS:
        raise CommandError(f"no such command: {name}; there are {', '.join(COMMANDS)}; see {PROGRAM} --help")
    return COMMANDS[name].run(parsed(name, arguments[1:]))
