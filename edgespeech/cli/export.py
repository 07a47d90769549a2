"""`edgespeech export`: a checkpoint folder to a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgespeech.cli.output import say, table, to_json
from edgespeech.cli.proof import ENGINE_NAMES, ENGINES, PRECISIONS, proof_rows, run_export

if TYPE_CHECKING:
    from edgespeech_runtime.manifest import Manifest


@click.command(short_help="Export a checkpoint to a bundle, with proof that they agree.")
@click.argument("checkpoint", type=click.Path())
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--engine", type=click.Choice(ENGINES), default="onnx", show_default=True, help="What runs the bundle.")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True, help="How weights are stored."
)
@click.option(
    "--target-lang", metavar="LANG", help="Language, for CTC checkpoints with an adapter for each (MMS): eng, deu."
)
@click.option("--force", is_flag=True, help="Replace BUNDLE if it is there; it stays as it is if the export fails.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def export(checkpoint: str, bundle: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Export CHECKPOINT to the folder BUNDLE.

    CHECKPOINT is a folder with config.json, the weights and the processor's files, in the Hugging Face layout, or a hub
    id where huggingface_hub is installed. The bundle is run by the real runtime and compared with the checkpoint before
    it takes its place: it is written whole, or not at all.
    """
    manifest = run_export(checkpoint, bundle, quiet, **options)
    if as_json:
        say(to_json(_summary(bundle, manifest), indent=2))
        return
    say(f"{bundle}: {manifest.task} on {ENGINE_NAMES[manifest.engine]}, {manifest.precision}")
    for line in table(proof_rows(manifest.report)):
        say(line)


def _summary(bundle: Path, manifest: "Manifest") -> dict[str, Any]:
    return {
        "bundle": str(bundle),
        "task": manifest.task,
        "engine": manifest.engine,
        "precision": manifest.precision,
        "files": {name: file.bytes for name, file in manifest.files.items()},
        "report": manifest.report,
        "provenance": manifest.provenance,
    }
