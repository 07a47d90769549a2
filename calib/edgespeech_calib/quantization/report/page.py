"""A quantization as one HTML page: cost and gain, layers, which answers changed."""

from collections.abc import Iterator
from typing import Any

from edgespeech_runtime.bundle.manifest import Manifest

from edgespeech_calib.evaluation.charts import LayerNoise, Point, errors_by_speed, noise_by_layer
from edgespeech_calib.pages import megabytes, percent, render
from edgespeech_calib.quantization.report.report import Quantized
from edgespeech_calib.quantization.targets import NAMES


def page(name: str, quantized: Quantized) -> str:
    """Return the page's text; `name` is the bundle's."""
    judgement, layers = quantized.judgement, quantized.layers
    is_labelled = judgement.increase is not None
    has_trials = len(quantized.trials) > 1 or bool(quantized.trials[0].floating)
    return render(
        "quantization",
        title=f"INT8: {name}",
        judgement=judgement,
        conditions=list(_conditions(quantized)),
        skipped=[*quantized.skipped, *quantized.evaluation_skipped],
        changes=list(_changes(quantized)),
        chart=_chart(quantized),
        trials=[
            [str(one.floating), percent(one.share), "passed" if one.passed else "failed", one.result]
            for one in quantized.trials
            if has_trials
        ],
        noise=noise_by_layer([LayerNoise(one.name, one.noise, one.precision != "int8") for one in layers]),
        in_float=[[one.name, f"{one.macs / 1e6:.1f}", one.why] for one in layers if one.precision != "int8"],
        is_labelled=is_labelled,
        reference="what is true: first the float model, then INT8" if is_labelled else "the float model's answer",
        seconds=[[step, f"{seconds:.1f}"] for step, seconds in quantized.seconds.items()],
    )


def _conditions(quantized: Quantized) -> Iterator[str]:
    manifest, judgement = quantized.manifest, quantized.judgement
    part, drawn = manifest.report["quantization"], manifest.provenance["calibration"]
    measure = "compared with the float model, without labels,"
    if judgement.increase is not None and judgement.measure is not None:
        measure = f"{judgement.measure.name} measured"
    verb = "judged on" if part["scheme"] == "weights" else "calibrated on"
    yield from _arithmetic(manifest, part)
    yield (
        f"{verb} {_utterances(drawn['utterances'])} of {drawn['set']}, {drawn['seconds']:.0f} s in excerpts, "
        f"seed {drawn['seed']}"
    )
    yield f"{measure} on {_utterances(judgement.utterances)} of {judgement.speech}, {judgement.seconds:.0f} s"
    yield f"timed on {quantized.speed.machine}"
    for rates in (quantized.resampled, quantized.evaluation_resampled or {}):
        yield from (f"resampled from {rate} Hz: {count} recordings" for rate, count in sorted(rates.items()))


def _utterances(count: int) -> str:
    return f"{count} utterance{'' if count == 1 else 's'}"


def _arithmetic(manifest: Manifest, part: dict[str, Any]) -> list[str]:
    """What is in INT8, and why so."""
    name = f"{manifest.task} on {manifest.engine}"
    if part["scheme"] == "weights":
        share = f"{100 * part['weights_share']:.0f} % of the weights in INT8"
        return [f"{name}; {share}, computed in {part['arithmetic']}: {part['why_these_types']}"]
    share = f"{100 * part['integer_share']:.0f} % of the multiply-accumulates run in INT8"
    return [
        f"{name}; {part['scheme']} quantization, {share}",
        f"for {NAMES[part['target']]}: {part['why_these_types']}",
    ]


def _changes(quantized: Quantized) -> Iterator[list[str]]:
    """Rows of what changed: in float, in INT8, the difference."""
    speed, judgement = quantized.speed, quantized.judgement
    ratio = f"{quantized.bytes / quantized.float_bytes:.2f} x"
    yield ["size", megabytes(quantized.float_bytes), megabytes(quantized.bytes), ratio]
    times = (f"{1000 * seconds:.1f} ms" for seconds in (speed.float_seconds, speed.seconds))
    yield [f"time for {speed.audio_seconds:.1f} s of speech", *times, f"{speed.ratio:.2f} x as fast"]
    if judgement.increase is not None and judgement.float_errors and judgement.errors and judgement.measure is not None:
        change = judgement.measure.difference(judgement.increase)
        between = f"{100 * change.value:+.2f} points ({100 * change.low:+.2f} to {100 * change.high:+.2f})"
        rates = (judgement.float_errors.rate, judgement.errors.rate)
        shown = (percent(rate if judgement.measure.is_of_errors else 1 - rate) for rate in rates)
        yield [judgement.measure.name, *shown, between]


def _chart(quantized: Quantized) -> str:
    """Errors against speed; nothing where errors were not counted."""
    judgement, speed = quantized.judgement, quantized.speed
    if (
        judgement.intervals is None
        or judgement.float_errors is None
        or judgement.errors is None
        or judgement.measure is None
    ):
        return ""
    seconds, sizes = (speed.float_seconds, speed.seconds), (quantized.float_bytes, quantized.bytes)
    rates = (judgement.float_errors.rate, judgement.errors.rate)
    points = [
        Point(name, time / speed.audio_seconds, rate, bounds.low, bounds.high, size)
        for name, time, rate, bounds, size in zip(
            ("float32", "INT8"), seconds, rates, judgement.intervals, sizes, strict=True
        )
    ]
    return errors_by_speed(points, judgement.measure.errors)
