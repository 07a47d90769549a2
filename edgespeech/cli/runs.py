"""Running exports and quantizations for the commands: progress on stderr, warnings, what an interruption means.

Each function raises what the function that it runs raises, and Interrupted.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgespeech_runtime.cli.display.output import few, number
from edgespeech_runtime.cli.display.results import write_file
from edgespeech_runtime.cli.interrupts import Interrupted

from edgespeech.cli.display.progress import Steps
from edgespeech.cli.errors import complain
from edgespeech.cli.options import int8
from edgespeech.cli.options.static import with_lengths

if TYPE_CHECKING:
    from edgespeech_calib import Skipped, SpeechSet
    from edgespeech_calib.quantization import Quantized
    from edgespeech_runtime.bundle.manifest import Manifest

Given: TypeAlias = Mapping[str, Any]  # values of a command's options
LOOKING = "checking recordings"


@contextmanager
def _nothing_is_written() -> Iterator[None]:
    """Let an interruption say that nothing was written."""
    try:
        yield
    except Interrupted as stop:
        stop.outcome = "; nothing was written"
        raise


def run_export(
    checkpoint: str | os.PathLike[str], bundle: Path, quiet: bool = False, shapes: Given | None = None, **options: Any
) -> "Manifest":
    """Export; `options` are those of `ExportOptions`, `shapes` those of the command for fixed shapes."""
    with _nothing_is_written(), Steps(quiet) as step:
        from edgespeech_export import ExportOptions, StaticShapes, export

        if shapes is not None:
            if "buckets_from" in shapes:
                step(LOOKING)
            options["static"] = StaticShapes(**with_lengths(shapes))
        return export(checkpoint, bundle, ExportOptions(**options), progress=step)


def run_int8(checkpoint: str, bundle: Path, quiet: bool, given: Given, **options: Any) -> "Quantized":
    """Export a checkpoint in INT8, and write the page; `options` are engine, layers, target_lang and force."""

    def export(data: "SpeechSet | None", **others: Any) -> "Quantized":
        from edgespeech_calib import quantization

        return quantization.export_int8(checkpoint, bundle, data, **others, **options)

    return _quantized(export, bundle, quiet, given)


def run_quantize(bundle: Path, target: Path, quiet: bool, given: Given) -> "Quantized":
    """Quantize a float bundle, and write the page."""

    def quantize(data: "SpeechSet | None", **others: Any) -> "Quantized":
        from edgespeech_calib import quantization

        return quantization.quantize(bundle, target, data, **others, force=given["force"])

    return _quantized(quantize, target, quiet, given)


def _quantized(run: "Callable[..., Quantized]", target: Path, quiet: bool, given: Given) -> "Quantized":
    """Open the sets that the options name, run, and say what was left out of them."""
    with _nothing_is_written(), Steps(quiet) as step:
        step(LOOKING, 0, None)
        from edgespeech_calib import open_set
        from edgespeech_calib.quantization import QuantizationOptions

        def looked(done: int) -> None:
            step(LOOKING, done, None)

        labelled = given["eval_set"]
        quantized = run(
            None if given["calib"] is None else open_set(given["calib"], given["calib_root"], looked),
            options=QuantizationOptions(**{name: given[name] for name in int8.OPTIONS}),
            evaluation_data=None if labelled is None else open_set(labelled, given["eval_root"], looked),
            progress=step,
        )
    rate = quantized.manifest.audio.sampling_rate
    _warn("calibration", quantized.skipped, quantized.resampled, rate)
    _warn("evaluation", quantized.evaluation_skipped, quantized.evaluation_resampled or {}, rate)
    if given["report"] is not None:
        from edgespeech_calib.quantization.report.page import page

        write_file(given["report"], page(target.name, quantized))
    return quantized


def run_npu(checkpoint: str, bundle: Path, quiet: bool, shapes: Given, given: Given, **options: Any) -> "Manifest":
    """Export in INT8 for an NPU; `shapes` are options of fixed shapes, `options` target_lang and force."""
    with _nothing_is_written(), Steps(quiet) as step:
        step(LOOKING, 0, None)
        from edgespeech_calib import open_set
        from edgespeech_calib.quantization.npu.bundle import NpuOptions, export_npu

        def looked(done: int) -> None:
            step(LOOKING, done, None)

        data = open_set(given["calib"], given["calib_root"], looked)
        chosen = NpuOptions(samples=given["samples"], seed=given["seed"], **with_lengths(shapes, looked))
        return export_npu(checkpoint, bundle, data, chosen, progress=step, **options)


def _warn(what: str, skipped: "tuple[Skipped, ...]", resampled: Mapping[int, int], rate: int) -> None:
    if skipped:
        reasons = few([f"{one.id} ({one.reason})" for one in skipped])
        complain(f"{what}: left out {number(len(skipped), 'utterance')}: {reasons}")
    for own, count in sorted(resampled.items()):
        complain(f"{what}: resampled {number(count, 'recording')} from {own} Hz to the model's {rate} Hz")
