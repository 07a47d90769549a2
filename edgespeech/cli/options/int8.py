"""What `edgespeech export --precision int8` adds: its options, the run, and what it says of the result."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from edgespeech.cli.display.output import few, number, size
from edgespeech.cli.display.progress import Stages
from edgespeech.cli.display.results import write_file
from edgespeech.cli.errors import CommandError, complain
from edgespeech.cli.interrupts import Interrupted
from edgespeech.engines import ENGINES

if TYPE_CHECKING:
    from edgespeech_calib import Skipped
    from edgespeech_calib.quantization import Quantized
    from edgespeech_runtime.choices import EngineName

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

# Choices of edgespeech_calib.quantization.options; not imported, because they come with torch.
SCHEMES = ("static", "dynamic")
RANGES = ("minmax", "percentile", "entropy")
DECODER_WEIGHTS = ("int8", "int4")
TARGETS = ("x86-vnni", "x86-avx2", "arm", "npu")  # the last fixes shapes too, see `static`

OPTIONS = (
    click.option("--calib", metavar="SET", help="INT8: speech to calibrate on, without transcripts; numpy needs none."),
    click.option("--calib-root", metavar="SET", help="INT8: where the set lies from which a list was drawn."),
    click.option(
        "--samples",
        type=click.IntRange(min=1),
        default=128,
        show_default=True,
        help="INT8: calibration utterances, spread over speakers and lengths.",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="INT8: of the draw."),
    click.option(
        "--scheme",
        type=click.Choice(SCHEMES),
        default="static",
        show_default=True,
        help="INT8: ranges of activations from calibration, or from each input.",
    ),
    click.option(
        "--ranges", type=click.Choice(RANGES), help="INT8: how ranges follow from what was seen; the engine's best."
    ),
    click.option(
        "--decoder-weights",
        type=click.Choice(DECODER_WEIGHTS),
        default="int8",
        show_default=True,
        help="INT8: how a text decoder's weights are stored.",
    ),
    click.option(
        "--target",
        type=click.Choice(TARGETS),
        help="INT8: instruction set the bundle is for; this machine's. npu fixes shapes, in any precision.",
    ),
    click.option("--eval", "eval_set", metavar="SET", help="INT8: speech with texts or labels, to count errors on."),
    click.option("--eval-root", metavar="SET", help="INT8: where the set lies from which that list was drawn."),
    click.option(
        "--max-wer-increase",
        type=click.FloatRange(min=0),
        default=0.3,
        show_default=True,
        help="INT8: percentage points of word errors, or of accuracy, that it may cost by --eval.",
    ),
    click.option(
        "--max-changed-words",
        type=click.FloatRange(min=0),
        default=2.0,
        show_default=True,
        help="INT8: percent of the words, or labels, that may change where there is no --eval.",
    ),
    click.option(
        "--no-revert", "revert", is_flag=True, flag_value=False, default=True, help="INT8: let no layer go to float."
    ),
    click.option(
        "--report", type=click.Path(path_type=Path, dir_okay=False), help="INT8: write a page that shows all of it."
    ),
)
NAMES = (
    "calib",
    "calib_root",
    "samples",
    "seed",
    "scheme",
    "ranges",
    "decoder_weights",
    "target",
    "eval_set",
    "eval_root",
    "max_wer_increase",
    "max_changed_words",
    "revert",
    "report",
)
OF_INTEGERS = ("scheme", "ranges", "decoder_weights", "target")
NPU = "npu"
QUANTIZATION = (
    "samples",
    "seed",
    "scheme",
    "ranges",
    "decoder_weights",
    "target",
    "max_wer_increase",
    "max_changed_words",
    "revert",
)


def int8_options(command: CommandT) -> CommandT:
    """Give a command the options of INT8."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def split(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of INT8 out of `options`.

    Raises:
        CommandError: some were given for another precision, or those that INT8 needs were not.
    """
    own = {name: options.pop(name) for name in NAMES}
    given = [name for name in NAMES if ctx.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)]
    if options["precision"] != "int8":
        if own["target"] == "npu":
            given.remove("target")
        if given:
            raise CommandError(f"{_flag(given[0])} is for --precision int8; add that, or leave {_flag(given[0])} out")
        return own
    if own["calib"] is None:
        _without_speech(options["engine"], given)
    if not ENGINES[options["engine"]].computes_in_integers:
        _refuse_integers(options["engine"], own, given)
    if own["eval_root"] is not None and own["eval_set"] is None:
        raise CommandError("--eval-root says where the set of a list lies; name the list with --eval")
    report = own["report"]
    if report is not None and report.exists() and not options["force"]:
        raise CommandError(f"{report} exists; name another file, or replace it with --force")
    return own


def _without_speech(engine: "EngineName", given: list[str]) -> None:
    """Accept that there is no --calib, or raise CommandError."""
    if ENGINES[engine].computes_in_integers:
        raise CommandError("--precision int8 needs speech to calibrate on; name a set of recordings with --calib")
    for name in ("calib_root", "samples", "seed"):
        if name in given:
            raise CommandError(
                f"{_flag(name)} is of the speech of --calib; name a set there, or leave {_flag(name)} out"
            )


def _refuse_integers(engine: str, own: Mapping[str, Any], given: list[str]) -> None:
    """Raise CommandError for what says how integers are computed with, for an engine that computes with none."""
    for name in OF_INTEGERS:
        if name in given and own[name] != NPU:  # which `static` refuses
            raise CommandError(
                f"{_flag(name)} does not go with --engine {engine}, which stores weights in INT8 and computes in "
                "float32; leave it out"
            )


def run_int8(checkpoint: str, bundle: Path, quiet: bool, own: Mapping[str, Any], **options: Any) -> "Quantized":
    """Export in INT8 with progress on stderr; say there what was left out; write the page.

    `own` are the options of INT8, `options` those of every export: engine, target_lang, force.

    Raises what `edgespeech_calib.quantization.export_int8` raises, and Interrupted.
    """
    try:
        with Stages(quiet) as stages:
            stages("looking at sound", 0, None)
            from edgespeech_calib import open_set
            from edgespeech_calib.quantization import QuantizationOptions, export_int8

            def looked(done: int) -> None:
                stages("looking at sound", done, None)

            labelled = own["eval_set"]
            found = export_int8(
                checkpoint,
                bundle,
                None if own["calib"] is None else open_set(own["calib"], own["calib_root"], looked),
                QuantizationOptions(**{name: own[name] for name in QUANTIZATION}),
                evaluation_data=None if labelled is None else open_set(labelled, own["eval_root"], looked),
                progress=stages,
                **options,
            )
    except Interrupted as stop:
        stop.outcome = "; nothing was written"
        raise
    rate = found.manifest.audio.sampling_rate
    _warn("calibration", found.skipped, found.resampled, rate)
    _warn("evaluation", found.evaluation_skipped, found.evaluation_resampled or {}, rate)
    if own["report"] is not None:
        from edgespeech_calib.quantization.report.page import page

        write_file(own["report"], page(bundle.name, found))
    return found


def quantization_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of the quantization in a manifest's report; none where there was none.

    A report is free in its form: what it lacks is left out.
    """
    part = report.get("quantization")
    if not isinstance(part, Mapping):
        return []
    rows = []
    if part.get("scheme") == "weights":
        rows.append(("quantization", f"weights alone, computed in {part.get('arithmetic')}"))
    elif isinstance(part.get("scheme"), str):
        rows.append(("quantization", f"{part['scheme']}, ranges {part.get('ranges')}, for {part.get('target')}"))
    if isinstance(part.get("why_these_types"), str):
        rows.append(("", part["why_these_types"]))
    if isinstance(share := part.get("integer_share"), int | float):
        rows.append(("in INT8", f"{100 * share:.0f} % of the multiply-accumulates, by the engine's own profile"))
    if isinstance(share := part.get("weights_share"), int | float):
        rows.append(("in INT8", f"{100 * share:.0f} % of the weights"))
    decoder = part.get("decoder")
    if isinstance(decoder, Mapping) and isinstance(share := decoder.get("integer_share"), int | float):
        weights = f"weights in {decoder.get('weights')}, {100 * share:.0f} % of its multiply-accumulates"
        rows.append(("decoder", weights))
    layers = part.get("layers")
    names = [_layer(one) for one in layers if _is_float(one)] if isinstance(layers, list) else []
    if isinstance(layers, list):
        rows.append(("layers in float", f"{len(names)} of {len(layers)}" + (f": {few(names)}" if names else "")))
    gate = part.get("gate")
    if isinstance(gate, Mapping) and isinstance(gate.get("result"), str):
        rows.append(("gate", f"{gate.get('measure')}: {gate['result']}"))
        if isinstance(count := gate.get("utterances"), int):
            rows.append(("judged on", f"{number(count, 'utterance')} of {gate.get('speech')}"))
    if isinstance(before := part.get("float_bytes"), int) and isinstance(after := report.get("bytes"), int):
        rows.append(("size against float32", f"{size(after)} of {size(before)}, {after / max(before, 1):.2f} x"))
    return rows


def measured_rows(found: "Quantized") -> list[tuple[str, str]]:
    """What was measured in this run and is not in the bundle."""
    speed = found.speed
    total = sum(found.seconds.values())
    longest = sorted(found.seconds.items(), key=lambda item: -item[1])
    return [
        (
            "speed",
            f"{speed.audio_seconds:.1f} s of speech in {1000 * speed.seconds:.1f} ms, float32 in "
            f"{1000 * speed.float_seconds:.1f} ms: {speed.ratio:.2f} x as fast",
        ),
        ("measured on", speed.machine),
        ("it took", f"{total:.0f} s: " + few([f"{name} {seconds:.0f} s" for name, seconds in longest if seconds >= 1])),
    ]


def _layer(layer: Mapping[str, Any]) -> str:
    ratio = layer.get("noise_db")
    return str(layer.get("name")) + (f" ({ratio:.1f} dB)" if isinstance(ratio, int | float) else "")


def _is_float(layer: object) -> bool:
    return isinstance(layer, Mapping) and layer.get("precision") == "float32"


def _warn(what: str, skipped: "tuple[Skipped, ...]", resampled: Mapping[int, int], rate: int) -> None:
    if skipped:
        reasons = few([f"{one.id} ({one.reason})" for one in skipped])
        complain(f"{what}: left out {number(len(skipped), 'utterance')}: {reasons}")
    for own, count in sorted(resampled.items()):
        complain(f"{what}: resampled {number(count, 'recording')} from {own} Hz to the model's {rate} Hz")


def _flag(name: str) -> str:
    known = {"eval_set": "--eval", "revert": "--no-revert"}
    return known.get(name, "--" + name.replace("_", "-"))
