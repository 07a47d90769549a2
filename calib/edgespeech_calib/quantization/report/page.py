"""A quantization as one HTML page: cost and gain, layers, which answers changed."""

from collections.abc import Iterator
from typing import Any

from edgespeech_runtime.bundle.manifest import Manifest

from edgespeech_calib.evaluation.charts import Chart, LayerNoise, Point, errors_by_speed, noise_by_layer
from edgespeech_calib.pages import megabytes, number, percent, render, signed
from edgespeech_calib.pages.names import without_folders
from edgespeech_calib.quantization.judge.gate import Judgement
from edgespeech_calib.quantization.report.report import Quantized
from edgespeech_calib.quantization.targets import NAMES


def page(name: str, quantized: Quantized) -> str:
    """Return the page's text; `name` is the bundle's."""
    judgement, layers = quantized.judgement, quantized.layers
    is_labelled = judgement.increase is not None
    has_trials = len(quantized.trials) > 1 or bool(quantized.trials[0].floating)
    return render(
        "quantization",
        kicker="Quantization by edgespeech",
        title=f"{name} in INT8",
        judgement=judgement,
        sentence=_sentence(judgement),
        cards=list(_cards(quantized)),
        conditions=list(map(without_folders, _conditions(quantized))),
        skipped=[
            (without_folders(one.id), without_folders(one.reason))
            for one in (*quantized.skipped, *quantized.evaluation_skipped)
        ],
        changes=list(_changes(quantized)),
        chart=_chart(quantized),
        trials=[
            [str(one.floating), percent(one.share), "passed" if one.passed else "failed", one.result]
            for one in quantized.trials
            if has_trials
        ],
        noise=noise_by_layer([LayerNoise(one.name, one.noise, one.precision != "int8") for one in layers]),
        in_float=[[one.name, f"{one.macs / 1e6:.1f}", one.why] for one in layers if one.precision != "int8"],
        changed=list(_changed(judgement, is_labelled)),
        reference="what is true: first the float model, then INT8" if is_labelled else "the float model's answer",
        seconds=[[step, f"{seconds:.1f}"] for step, seconds in quantized.seconds.items()],
    )


def _changed(judgement: Judgement, is_labelled: bool) -> Iterator[dict[str, Any]]:
    """Utterances that are answered differently, each with the answers beside what they are compared with."""
    if judgement.measure is None:
        return
    for one in judgement.changed:
        texts = [one.first, one.second] if is_labelled else [one.second]
        aligned = [list(judgement.measure.aligned(one.reference, text)) for text in texts]
        yield {"id": without_folders(one.id), "alignments": aligned}


def _sentence(judgement: Judgement) -> str:
    """What the gate measured, as a sentence begins."""
    text = without_folders(judgement.sentence)
    return text[:1].upper() + text[1:]


def _cards(quantized: Quantized) -> Iterator[tuple[str, str, str]]:
    """What was gained and what it costs, at a glance."""
    ratio = quantized.bytes / quantized.float_bytes
    sizes = f"{megabytes(quantized.bytes)}, in float32 {megabytes(quantized.float_bytes)}"
    yield "Size", f"{ratio:.2f} x", sizes
    speed = quantized.speed
    times = (
        f"{1000 * speed.seconds:.1f} ms for {speed.audio_seconds:.1f} s, in float32 {1000 * speed.float_seconds:.1f} ms"
    )
    yield "Speed", f"{speed.ratio:.2f} x", times
    judgement = quantized.judgement
    if judgement.increase is not None and judgement.measure is not None:
        change = judgement.measure.difference(judgement.increase)
        between = f"percentage points, 95 % interval {signed(change.low)} to {signed(change.high)}"
        yield judgement.measure.name.capitalize(), signed(change.value), between
    elif judgement.measure is not None:
        answers = f"of {number(judgement.utterances, 'utterance')}"
        yield "Answered differently", str(len(judgement.changed)), answers


def _conditions(quantized: Quantized) -> Iterator[str]:
    manifest, judgement = quantized.manifest, quantized.judgement
    part, drawn = manifest.report["quantization"], manifest.provenance["calibration"]
    measure = "compared with the float model, without labels,"
    if judgement.increase is not None and judgement.measure is not None:
        measure = f"{judgement.measure.name} measured"
    verb = "judged on" if part["scheme"] == "weights" else "calibrated on"
    yield from _arithmetic(manifest, part)
    yield (
        f"{verb} {number(drawn['utterances'], 'utterance')} of {drawn['set']}, {drawn['seconds']:.0f} s in excerpts, "
        f"seed {drawn['seed']}"
    )
    yield f"{measure} on {number(judgement.utterances, 'utterance')} of {judgement.speech}, {judgement.seconds:.0f} s"
    yield f"timed on {quantized.speed.machine}"
    for rates in (quantized.resampled, quantized.evaluation_resampled or {}):
        yield from (f"resampled from {rate} Hz: {number(count, 'recording')}" for rate, count in sorted(rates.items()))


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
        between = f"{signed(change.value)} points ({signed(change.low)} to {signed(change.high)})"
        rates = (judgement.float_errors.rate, judgement.errors.rate)
        shown = (percent(rate if judgement.measure.is_of_errors else 1 - rate) for rate in rates)
        yield [judgement.measure.name, *shown, between]


def _chart(quantized: Quantized) -> Chart | None:
    """Errors against speed; None where errors were not counted."""
    judgement, speed = quantized.judgement, quantized.speed
    if (
        judgement.intervals is None
        or judgement.float_errors is None
        or judgement.errors is None
        or judgement.measure is None
    ):
        return None
    seconds, sizes = (speed.float_seconds, speed.seconds), (quantized.float_bytes, quantized.bytes)
    rates = (judgement.float_errors.rate, judgement.errors.rate)
    points = [
        Point(name, time / speed.audio_seconds, rate, bounds.low, bounds.high, size)
        for name, time, rate, bounds, size in zip(
            ("float32", "INT8"), seconds, rates, judgement.intervals, sizes, strict=True
        )
    ]
    return errors_by_speed(points, judgement.measure.errors)
