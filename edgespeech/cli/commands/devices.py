"""`edgespeech devices`: what this machine offers to run bundles on, and whether a bundle works there."""

from pathlib import Path

import click
from edgespeech_runtime.cli.commands import devices as shared
from edgespeech_runtime.cli.options import JSON

from edgespeech.cli.display.progress import Steps
from edgespeech.cli.options.shared import takes
from edgespeech.cli.options.types import any_path


@click.command(short_help=shared.SHORT)
@click.option("--check", "bundle", metavar="BUNDLE", type=any_path(), help="Run a bundle on each device.")
@takes(JSON)
@click.pass_context
def devices(ctx: click.Context, bundle: Path | None, as_json: bool) -> None:
    """List the devices that the installed engines offer here, the best first.

    With --check, the bundle's golden input runs on each device that its engine has, twice, each time in a process of
    its own: does it load, does it pass its self-check, does it give the text, the labels or the embedding that
    the CPU gives. Ends with 2 where one of them fails.
    """
    ctx.exit(shared.devices(as_json) if bundle is None else shared.check(bundle, as_json, Steps))
