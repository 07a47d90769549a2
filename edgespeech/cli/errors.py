"""Errors of the toolchain's command line as a line and an exit code: those of click, of the toolchain, of the runtime.

What both command lines share is in `edgespeech_runtime.cli.errors`.
"""

from collections.abc import Callable
from typing import Any

import click
from edgespeech_runtime.cli import errors
from edgespeech_runtime.cli.errors import FAILED, CommandError, FileThereError, complain, say_warning

from edgespeech.errors import EdgeSpeechError

__all__ = ["FAILED", "CommandError", "FileThereError", "complain", "exit_code", "say_warning"]


def exit_code(run: Callable[[], Any]) -> int:
    """Run a command and return the process's exit code; errors that a user can mend are said in one line.

    Anything else is a mistake of this program and passes through.
    """

    def translated() -> Any:
        try:
            return run()
        except click.Abort:
            raise KeyboardInterrupt from None
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "edgespeech"
            raise CommandError(f"{error.format_message().rstrip('.')}; see {command} --help") from error
        except click.ClickException as error:
            raise CommandError(error.format_message()) from error
        except EdgeSpeechError as error:
            raise CommandError(str(error)) from error

    return errors.exit_code(translated)
