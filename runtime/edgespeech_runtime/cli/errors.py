"""Errors of the command line, and the one place where errors become a line and an exit code.

EdgeSpeechRuntimeError
└── CommandError (ValueError)                 arguments of a command that contradict each other or the files there
    └── FileThereError (FileExistsError)          a file is in the way, and it was not asked to be replaced
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import EdgeSpeechRuntimeError
from .interrupts import Interrupted

FAILED = 2
INTERRUPTED = 130


class CommandError(EdgeSpeechRuntimeError, ValueError):
    """Arguments of a command contradict each other, or the files that are there."""


class FileThereError(CommandError, FileExistsError):
    """A file is in the way of an output, and it was not asked to be replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists; choose another folder with --output, or replace it with --force")


class Program:
    """The program that runs: `edgespeech`, unless `edgespeech-runtime` says that it is that.

    Attributes:
        name: what its messages begin with.
    """

    name = "edgespeech"


def complain(message: object) -> None:
    """Write one line to stderr, however many lines the message has."""
    line = " ".join(str(message).split())
    print(f"{Program.name}: {line}", file=sys.stderr, flush=True)


def say_warning(message: object, category: type[Warning], *where: object, **more: object) -> None:
    """Say a warning in one line, without the line of code that it came from; for `warnings.showwarning`.

    Warnings for those who write programs (of deprecations, of the future) are not the user's and not said.
    """
    if not issubclass(category, DeprecationWarning | FutureWarning | PendingDeprecationWarning):
        complain(f"warning: {message}")


def exit_code(run: Callable[[], Any]) -> int:
    """Run a command and return the process's exit code; errors that a user can mend are said in one line.

    Anything else is a mistake of this program and passes through.
    """
    try:
        code = run()
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that went away is no surprise
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except Interrupted as stop:
        complain(f"interrupted{stop.outcome}")
        return stop.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        complain(message)
        return FAILED


def prepare_streams() -> None:
    """Make the standard streams fit for a program: none is closed, and none fails on a letter that it cannot show.

    The next file to be opened would take the number of a closed one. Messages go nowhere then, and results are refused
    where they are printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows its code; it is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _message(error: Exception) -> str | None:
    """What to say of an error; None for one that no user can mend."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; close other programs, or take shorter audio"
    if isinstance(error, EdgeSpeechRuntimeError):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, str | bytes) else reason
    return None


def _forget_stdout() -> None:
    """Keep the interpreter's last flush from failing: what reads the output has gone."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, sys.stdout.fileno())
    except (OSError, ValueError):  # no real file: a test's stream
        pass
    finally:
        os.close(devnull)
