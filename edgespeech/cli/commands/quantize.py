"""`edgespeech quantize`: a float32 bundle to one in INT8."""

from pathlib import Path
from typing import Any

import click

from edgespeech.cli.display.exported import show
from edgespeech.cli.display.quantization import measured_rows
from edgespeech.cli.options.grouping import GroupedCommand, check
from edgespeech.cli.options.int8 import RULES, check_report, quantize_options
from edgespeech.cli.runs import run_quantize


@click.command(cls=GroupedCommand, short_help="Quantize a float32 bundle to INT8, and measure what it costs.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace OUT if the quantization succeeds.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@quantize_options
@click.pass_context
def quantize(ctx: click.Context, /, bundle: Path, out: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Quantize BUNDLE, a float32 bundle, to INT8 in the folder OUT.

    INT8 is calibrated on the speech of --calib. What it costs is measured: on the labelled speech of --eval in word
    errors or accuracy, else by how many words of the calibration speech change. Layers that cost too much go back to
    float. A bundle for the engine numpy needs no speech: its weights alone are stored in INT8.

    A SET is what `edgespeech evaluate` takes: a folder, an archive, a manifest or a list. OUT is written whole, or not
    at all. For NPUs, which need graphs of fixed shapes, see `edgespeech export --target npu`.
    """
    check(ctx, RULES, options)
    check_report(options)
    quantized = run_quantize(bundle, out, quiet, options)
    show(out, quantized.manifest, measured_rows(quantized), quantized.measured(), as_json=as_json)
