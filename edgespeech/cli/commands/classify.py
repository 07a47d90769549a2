"""`edgespeech classify`: sound files to labels, of the whole or with times."""

from pathlib import Path
from typing import Any

import click
from edgespeech_runtime.cli.commands import classify as shared
from edgespeech_runtime.cli.options import CLASSIFY

from edgespeech.cli.display.progress import RichCounter
from edgespeech.cli.options.shared import audio_arguments, takes


@click.command(help=shared.HELP, short_help=shared.SHORT)
@takes(*CLASSIFY)
@audio_arguments
@click.pass_context
def classify(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], **options: Any) -> None:
    """See the help text."""
    ctx.exit(shared.classify(bundle, audio, options, RichCounter))
