"""`edgespeech transcribe`: sound files to text, JSON or subtitles."""

from pathlib import Path
from typing import Any

import click
from edgespeech_runtime.cli.commands import transcribe as shared
from edgespeech_runtime.cli.options import TRANSCRIBE

from edgespeech.cli.display.progress import RichCounter
from edgespeech.cli.options.shared import audio_arguments, takes


@click.command(help=shared.HELP, short_help=shared.SHORT)
@takes(*TRANSCRIBE)
@audio_arguments
@click.pass_context
def transcribe(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], **options: Any) -> None:
    """See the help text."""
    ctx.exit(shared.transcribe(bundle, audio, options, RichCounter))
