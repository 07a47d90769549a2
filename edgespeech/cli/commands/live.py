"""`edgespeech live`: captions of a microphone while people speak."""

from pathlib import Path
from typing import Any

import click
from edgespeech_runtime.cli.commands import live as shared
from edgespeech_runtime.cli.options import LIVE

from edgespeech.cli.display.captions import Screen
from edgespeech.cli.options.shared import takes
from edgespeech.cli.options.types import any_path


@click.command(help=shared.HELP, short_help=shared.SHORT)
@click.argument("bundle", type=any_path(), required=False)
@takes(*LIVE)
@click.pass_context
def live(ctx: click.Context, /, bundle: Path | None, **options: Any) -> None:
    """See the help text."""
    if bundle is None and not options["list_devices"]:
        raise click.UsageError("Missing argument 'BUNDLE'")
    ctx.exit(shared.live(bundle, options, Screen))
