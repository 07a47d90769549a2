"""What `edgespeech export --static` and `--target npu` add: their options, and the run of INT8 for an NPU."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from edgespeech.cli.display.output import size
from edgespeech.cli.display.progress import Stages
from edgespeech.cli.errors import CommandError
from edgespeech.cli.interrupts import Interrupted
from edgespeech.cli.options import buckets
from edgespeech.engines import ENGINES

if TYPE_CHECKING:
    from edgespeech_runtime.bundle.manifest import Manifest

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

NPU = "npu"
NAMES = ("static", "buckets", "slots", *buckets.NAMES)
COMPILE = ("compile", "soc_model")
OF_INT8 = ("calib", "calib_root", "samples", "seed", "target")  # of the options of INT8, those that an NPU's take too


class Seconds(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Read "2,5,10"; fail with a sentence for anything else."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"expected seconds with commas between them, as 2,5,10, got {value!r}", param, ctx)


OPTIONS = (
    click.option(
        "--static", is_flag=True, help="Fix the shapes of all graphs, as NPUs want them; so does --target npu."
    ),
    click.option(
        "--buckets",
        type=Seconds(),
        metavar="SECONDS",
        help="Static: lengths of audio that there is a graph for, with commas.  [default: 2,5,10,20]",
    ),
    *buckets.OPTIONS,
    click.option(
        "--slots",
        type=click.IntRange(min=32),
        help="Static: columns of an encoder-decoder's cache; 4 beams of the longest sequence, at most 512.",
    ),
    click.option(
        "--compile",
        is_flag=True,
        help="--target npu: also write the graphs compiled for Qualcomm's NPU; needs onnxruntime-qnn here.",
    ),
    click.option(
        "--soc-model", type=click.IntRange(min=1), metavar="N", help="--compile: Qualcomm's number of the chip."
    ),
)


def static_options(command: CommandT) -> CommandT:
    """Give a command the options of static graphs."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def split_static(ctx: click.Context, options: dict[str, Any], int8: Mapping[str, Any]) -> dict[str, Any] | None:
    """Take the options of static graphs out of `options`; None where shapes stay free.

    Raises:
        CommandError: some were given without --static, or contradict those of INT8.
    """
    own = {name: options.pop(name) for name in NAMES}
    is_int8, is_npu = options["precision"] == "int8", int8["target"] == NPU
    compiling = _split_compile(options, is_int8 and is_npu)
    if not own.pop("static") and not is_npu:
        for name, value in own.items():
            if value is not None:
                flag = "--" + name.replace("_", "-")
                raise CommandError(f"{flag} is for graphs of fixed shapes; add --static, or leave {flag} out")
        return None
    buckets.check_buckets(own)
    if is_int8 and not is_npu:
        raise CommandError("INT8 with fixed shapes is for NPUs; add --target npu, or leave --static out")
    if is_int8:
        _refuse(ctx, options, int8)
        own |= compiling
    return {name: value for name, value in own.items() if value is not None}


def _split_compile(options: dict[str, Any], is_for_it: bool) -> dict[str, Any]:
    own = {name: options.pop(name) for name in COMPILE}
    if own["compile"] and not is_for_it:
        raise CommandError("--compile is for --target npu --precision int8; add those, or leave --compile out")
    if own["soc_model"] is not None and not own["compile"]:
        raise CommandError("--soc-model is for --compile; add that, or leave --soc-model out")
    return own


def _refuse(ctx: click.Context, options: Mapping[str, Any], int8: Mapping[str, Any]) -> None:
    if not ENGINES[options["engine"]].quantizes_for_npu:
        raise CommandError("INT8 for an NPU is written for ONNX Runtime; leave --engine out, or --precision int8")
    for name in int8.keys() - set(OF_INT8):
        if ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT):
            flag = {"eval_set": "eval", "revert": "no-revert"}.get(name, name).replace("_", "-")
            raise CommandError(f"--{flag} does not go with --target npu: all of an NPU's graph is INT8; leave it out")


def npu_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of what an NPU's report adds: nodes that the CPU has to run, what was compiled by what."""
    rows = _named("not quantized", report["quantization"]["float_nodes"])
    if compiled := report.get("compiled"):
        rows.append(("compiled", f"for {compiled['device']} by {compiled['library']}, {size(compiled['bytes'])}"))
        rows += _named("left to the CPU", compiled["nodes_elsewhere"])
    return rows


def _named(label: str, nodes: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(label, f"{', '.join(names)} of {graph}") for graph, names in nodes.items()] or [(label, "no node")]


def run_npu(
    checkpoint: str, bundle: Path, quiet: bool, shapes: Mapping[str, Any], int8: Mapping[str, Any], **options: Any
) -> "Manifest":
    """Export in INT8 for an NPU with progress on stderr; `options` are target_lang and force.

    Raises what `edgespeech_calib.quantization.npu.export_npu` raises, and Interrupted.
    """
    try:
        with Stages(quiet) as stages:
            stages("looking at sound", 0, None)
            from edgespeech_calib import open_set
            from edgespeech_calib.quantization.npu.bundle import NpuOptions, export_npu

            def looked(done: int) -> None:
                stages("looking at sound", done, None)

            data = open_set(int8["calib"], int8["calib_root"], looked)
            chosen = NpuOptions(samples=int8["samples"], seed=int8["seed"], **buckets.with_lengths(shapes, looked))
            return export_npu(checkpoint, bundle, data, chosen, progress=stages, **options)
    except Interrupted as stop:
        stop.outcome = "; nothing was written"
        raise
