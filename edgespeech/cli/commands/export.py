"""`edgespeech export`: a checkpoint folder to a bundle."""

from pathlib import Path
from typing import Any, get_args

import click
from edgespeech_runtime.choices import ENGINES, Precision

from edgespeech.cli.display.exported import show
from edgespeech.cli.display.quantization import measured_rows, npu_rows
from edgespeech.cli.options import static
from edgespeech.cli.options.export_rules import RULES, is_int8, is_static
from edgespeech.cli.options.grouping import GroupedCommand, check
from edgespeech.cli.options.int8 import check_report, export_options
from edgespeech.cli.options.language_model import chosen_language_model, language_model_options
from edgespeech.cli.options.layers import layers_option
from edgespeech.cli.options.word_edges import chosen_recordings, edges_option
from edgespeech.cli.runs import run_export, run_int8, run_npu


@click.command(cls=GroupedCommand, short_help="Export a checkpoint to a bundle, with proof that they agree.")
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
@click.option("--target-lang", metavar="LANG", help="Language of a checkpoint of MMS.")
@layers_option
@edges_option
@click.option("--force", is_flag=True, help="Replace BUNDLE if the export succeeds.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@language_model_options
@export_options
@static.static_options
@click.pass_context
def export(ctx: click.Context, /, checkpoint: str, bundle: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Export CHECKPOINT to the folder BUNDLE, and prove that they agree.

    CHECKPOINT is a folder in the Hugging Face layout, a hub id where huggingface_hub is installed, or a .pt file of
    fairseq with its dict.ltr.txt beside it. BUNDLE is written whole, or not at all. A SET of recordings is what
    `edgespeech evaluate` takes too.
    """
    check(ctx, RULES, options)
    check_report(options)
    shapes = _shapes(options) if is_static(options) else None
    common = {name: options[name] for name in ("target_lang", "force")}
    common["language_model"] = chosen_language_model(options)
    edges = {"edges_from": chosen_recordings(options)}
    if not is_int8(options):
        chosen = {name: options[name] for name in ("engine", "precision", "layers")}
        show(bundle, run_export(checkpoint, bundle, quiet, shapes, **chosen, **edges, **common), as_json=as_json)
    elif shapes is not None:
        manifest = run_npu(checkpoint, bundle, quiet, shapes, options, **common)
        show(bundle, manifest, npu_rows(manifest.report), as_json=as_json)
    else:
        quantized = run_int8(
            checkpoint, bundle, quiet, options, engine=options["engine"], layers=options["layers"], **edges, **common
        )
        show(bundle, quantized.manifest, measured_rows(quantized), quantized.measured(), as_json=as_json)


def _shapes(options: dict[str, Any]) -> dict[str, Any]:
    """The options of fixed shapes that were given, as `StaticShapes` and `NpuOptions` take them."""
    names = (*static.SHAPES, *(static.COMPILING if is_int8(options) else ()))
    return {name: options[name] for name in names if options[name] is not None}
