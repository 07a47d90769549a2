"""`edgespeech export`: a checkpoint folder to a bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from edgespeech_runtime.choices import ENGINES, Precision

from edgespeech.cli.display.output import say, table, to_json
from edgespeech.cli.display.proof import proof_rows, run_export
from edgespeech.cli.options.buckets import bucket_rows
from edgespeech.cli.options.int8 import int8_options, measured_rows, quantization_rows, run_int8, split
from edgespeech.cli.options.static import npu_rows, run_npu, split_static, static_options

if TYPE_CHECKING:
    from edgespeech_runtime.bundle.manifest import Manifest


@click.command(short_help="Export a checkpoint to a bundle, with proof that they agree.")
@click.argument("checkpoint", type=click.Path())
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--engine", type=click.Choice(list(ENGINES)), default="onnx", show_default=True, help="What runs the bundle."
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="float32",
    show_default=True,
    help="How weights are stored.",
)
@click.option(
    "--target-lang", metavar="LANG", help="Language, for CTC checkpoints with an adapter for each (MMS): eng, deu."
)
@static_options
@int8_options
@click.option("--force", is_flag=True, help="Replace BUNDLE if it is there; it stays as it is if the export fails.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def export(ctx: click.Context, /, checkpoint: str, bundle: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Export CHECKPOINT to the folder BUNDLE.

    CHECKPOINT is a folder with config.json, the weights and the processor's files, in the Hugging Face layout, or a hub
    id where huggingface_hub is installed. The bundle is run by the real runtime and compared with the checkpoint before
    it takes its place: it is written whole, or not at all.

    INT8 is calibrated on the speech of --calib. What it costs is measured: with --eval in word errors, else by how far
    the texts of the calibration speech are those of the float model. Layers that cost too much go back to float. With
    --engine numpy weights alone are in INT8, and no speech is needed. A SET is what `edgespeech evaluate` takes too.

    With --static every shape is fixed: one graph for each length in --buckets, or for lengths that suit the recordings
    of --buckets-from, and of an encoder-decoder two forms of the decoder over a cache of --slots columns. NPUs take
    nothing else.
    """
    int8 = split(ctx, options)
    shapes = split_static(ctx, options, int8)
    if options["precision"] == "int8" and shapes is not None:
        own = {name: options[name] for name in ("target_lang", "force")}
        manifest, measured = run_npu(checkpoint, bundle, quiet, shapes, int8, **own), {}
        rows = npu_rows(manifest.report)
    elif options["precision"] == "int8":
        own = {name: options[name] for name in ("engine", "target_lang", "force")}
        found = run_int8(checkpoint, bundle, quiet, int8, **own)
        manifest, measured, rows = found.manifest, found.measured(), measured_rows(found)
    else:
        manifest, measured, rows = run_export(checkpoint, bundle, quiet, shapes, **options), {}, []
    if as_json:
        say(to_json(_summary(bundle, manifest) | ({"measured": measured} if measured else {}), indent=2))
        return
    say(f"{bundle}: {manifest.task} on {ENGINES[manifest.engine].title}, {manifest.precision}")
    report = manifest.report
    for line in table([*bucket_rows(manifest), *proof_rows(report), *quantization_rows(report), *rows]):
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
