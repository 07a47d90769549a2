"""`edgespeech transcribe`: sound files to text, JSON or subtitles; the recordings of a corpus to rows."""

from functools import partial
from pathlib import Path
from typing import Any

import click
from edgespeech_runtime.cli.commands import transcribe as shared
from edgespeech_runtime.cli.options import TRANSCRIBE

from edgespeech.cli.corpus import options as corpus
from edgespeech.cli.display.progress import RichCounter
from edgespeech.cli.options.shared import audio_arguments, takes


@click.command(help=f"{shared.HELP}\n\n{corpus.HELP}", short_help=shared.SHORT)
@takes(*TRANSCRIBE)
@corpus.over_corpora
@partial(audio_arguments, required=False)
@click.pass_context
def transcribe(ctx: click.Context, /, bundle: Path, audio: tuple[Path, ...], **options: Any) -> None:
    """See the help text."""
    corpus.check(audio, options)
    if options["manifest"] is not None:
        from edgespeech.cli.corpus.running import transcribe_corpus

        ctx.exit(transcribe_corpus(bundle, options))
    ctx.exit(shared.transcribe(bundle, audio, options, RichCounter))
