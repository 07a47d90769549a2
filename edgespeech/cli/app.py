"""The program `edgespeech`: its list of commands, and the frame in which each of them runs."""

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click
from edgespeech_runtime.cli.errors import prepare_streams
from edgespeech_runtime.cli.interrupts import Interrupts

from edgespeech import __version__
from edgespeech.cli.errors import CommandError, exit_code, say_warning

# To add a command: a module with a click command of the same name as its file, and its name here.
COMMANDS = (
    *("export", "quantize", "transcribe", "merge", "live", "align", "classify", "features"),
    *("evaluate", "inspect", "devices", "calib", "lm", "demo"),
)


class Program(click.Group):
    """A group that imports a command's module when the command is asked for, and turns errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, None for a name that there is not."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"edgespeech.cli.commands.{cmd_name}"), cmd_name)
        return command

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run and exit; without `standalone_mode`, run and let every error pass, as in click."""
        parent: Callable[..., Any] = super().main
        given = extra.get("args") or (args[0] if args else None) or ()

        def run() -> Any:
            for argument in given:
                if "\0" in str(argument):
                    raise CommandError(f"{argument!r} cannot be the name of a file: it has a null byte")
            return parent(*args, standalone_mode=False, **extra)

        return sys.exit(exit_code(run)) if standalone_mode else run()


@click.group(
    "edgespeech",
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def program(ctx: click.Context) -> None:
    """Speech checkpoints to bundles that run on devices, with proof that they agree.

    On the build machine, export a checkpoint folder to a bundle; on the device, edgespeech_runtime loads it.

    \b
      edgespeech export CHECKPOINT BUNDLE
      edgespeech transcribe BUNDLE speech.flac

    Exit codes: 0 done; 1 some of several files failed; 2 bad input or a failed run, with one line that says why;
    130 or 143 interrupted.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """Run the program on the process's arguments."""
    prepare_streams()
    warnings.showwarning = say_warning
    with Interrupts():
        program(prog_name="edgespeech")
