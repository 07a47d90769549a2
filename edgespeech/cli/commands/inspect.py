"""`edgespeech inspect`: what a bundle or a checkpoint folder is, without running it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from edgespeech_runtime.choices import MANIFEST_FILE
from edgespeech_runtime.cli.display.output import say, to_json

from edgespeech.choices import CONFIG
from edgespeech.cli.errors import FAILED, CommandError, complain
from edgespeech.fairseq_files import fairseq_files


@click.command(short_help="Say what is in a bundle or a checkpoint.")
@click.argument("folder", metavar="BUNDLE_OR_CHECKPOINT", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def inspect(ctx: click.Context, /, folder: Path, as_json: bool) -> None:
    """Say what is in a bundle or a checkpoint folder. Nothing is run, and no weight is read but to check its hash.

    Of a bundle: what it does and takes, files and their checksums, graphs, the proof, where it comes from. Of a
    checkpoint: its family, its size, what differs from the family's defaults, vocabulary and languages.
    """
    facts = _facts(folder)
    if as_json:
        say(to_json(facts.as_dict(), indent=2))
    else:
        for line in facts.lines():
            say(line)
    if facts.problem is not None:
        complain(facts.problem)
        ctx.exit(FAILED)


def _facts(folder: Path) -> Any:
    """Facts of a bundle or a checkpoint. Raises CommandError for anything else."""
    if fairseq_files(folder):
        from edgespeech.checkpoint import resolve
        from edgespeech.cli.display.checkpoint_facts import read_checkpoint

        return replace(read_checkpoint(resolve(folder)), folder=str(folder))
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "is not there"
        raise CommandError(f"{folder} {what}; give the folder of a bundle or of a checkpoint")
    if (folder / MANIFEST_FILE).exists():
        from edgespeech.cli.display.bundle_facts import read_bundle

        return read_bundle(folder)
    if (folder / CONFIG).exists():
        from edgespeech.cli.display.checkpoint_facts import read_checkpoint

        return read_checkpoint(folder)
    raise CommandError(f"{folder} is neither a bundle nor a checkpoint: it has no {MANIFEST_FILE} and no {CONFIG}")
