"""A quantization as one HTML page that needs nothing from outside: cost and gain, layers, which answers changed."""

from collections.abc import Sequence
from html import escape
from typing import Any

from edgespeech_runtime.bundle.manifest import Manifest

from edgespeech_calib.evaluation.charts import LayerNoise, Point, errors_by_speed, noise_by_layer
from edgespeech_calib.evaluation.page import NOISE_NOTE, document, megabytes, percent, table, words
from edgespeech_calib.quantization.judge.gate import Judgement
from edgespeech_calib.quantization.report.report import LayerReport, Quantized
from edgespeech_calib.quantization.targets import NAMES
from edgespeech_calib.speech.utterance import Skipped


def page(name: str, quantized: Quantized) -> str:
    """Return the page's text; `name` is the bundle's."""
    title = f"INT8: {name}"
    part = quantized.manifest.report["quantization"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        *_conditions(quantized, part),
        "<h2>Float and INT8</h2>",
        _both(quantized),
        *_chart(quantized),
        "<h2>The gate</h2>",
        f"<p>{escape(quantized.judgement.sentence)}.</p>",
        *_trials(quantized),
        '<section id="layers"><h2>Signal to quantization noise by layer</h2>',
        NOISE_NOTE,
        noise_by_layer([LayerNoise(one.name, one.noise, one.precision != "int8") for one in quantized.layers]),
        *_in_float(quantized.layers),
        "</section>",
        *_changed(quantized.judgement),
        "<h2>Where the time went</h2>",
        table(("step", "seconds"), ([step, f"{seconds:.1f}"] for step, seconds in quantized.seconds.items())),
    ]
    return document(title, parts)


def _utterances(count: int) -> str:
    return f"{count} utterance{'' if count == 1 else 's'}"


def _conditions(quantized: Quantized, part: dict[str, Any]) -> list[str]:
    manifest, judgement = quantized.manifest, quantized.judgement
    drawn = manifest.provenance["calibration"]
    measure = "compared with the float model, without labels,"
    if judgement.increase is not None and judgement.measure is not None:
        measure = f"{judgement.measure.name} measured"
    verb = "judged on" if part["scheme"] == "weights" else "calibrated on"
    facts = [
        *_arithmetic(manifest, part),
        f"{verb} {_utterances(drawn['utterances'])} of {drawn['set']}, {drawn['seconds']:.0f} s in excerpts, "
        f"seed {drawn['seed']}",
        f"{measure} on {_utterances(judgement.utterances)} of {judgement.speech}, {judgement.seconds:.0f} s",
        f"timed on {quantized.speed.machine}",
    ]
    for rates in (quantized.resampled, quantized.evaluation_resampled or {}):
        facts += [f"resampled from {rate} Hz: {count} recordings" for rate, count in sorted(rates.items())]
    return [
        "<ul>",
        *(f"<li>{escape(fact)}</li>" for fact in facts),
        "</ul>",
        *_left_out([*quantized.skipped, *quantized.evaluation_skipped]),
    ]


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


def _left_out(skipped: Sequence[Skipped]) -> list[str]:
    if not skipped:
        return []
    lines = (f"<li>{escape(one.id)}: {escape(one.reason)}</li>" for one in skipped)
    return [f"<details><summary>{len(skipped)} recordings left out</summary><ul>", *lines, "</ul></details>"]


def _both(quantized: Quantized) -> str:
    speed, judgement = quantized.speed, quantized.judgement
    rows = [
        [
            "size",
            megabytes(quantized.float_bytes),
            megabytes(quantized.bytes),
            f"{quantized.bytes / quantized.float_bytes:.2f} x",
        ],
        [
            f"time for {speed.audio_seconds:.1f} s of speech",
            f"{1000 * speed.float_seconds:.1f} ms",
            f"{1000 * speed.seconds:.1f} ms",
            f"{speed.ratio:.2f} x as fast",
        ],
    ]
    if judgement.increase is not None and judgement.float_errors and judgement.errors and judgement.measure is not None:
        change = judgement.measure.difference(judgement.increase)
        between = f"{100 * change.value:+.2f} points ({100 * change.low:+.2f} to {100 * change.high:+.2f})"
        rates = (judgement.float_errors.rate, judgement.errors.rate)
        shown = (percent(rate if judgement.measure.is_of_errors else 1 - rate) for rate in rates)
        rows.append([judgement.measure.name, *shown, between])
    return table(("", "float32", "INT8", "change"), rows)


def _chart(quantized: Quantized) -> list[str]:
    """Errors against speed; nothing where errors were not counted."""
    judgement, speed = quantized.judgement, quantized.speed
    if (
        judgement.intervals is None
        or judgement.float_errors is None
        or judgement.errors is None
        or judgement.measure is None
    ):
        return []
    seconds, sizes = (speed.float_seconds, speed.seconds), (quantized.float_bytes, quantized.bytes)
    rates = (judgement.float_errors.rate, judgement.errors.rate)
    points = [
        Point(name, time / speed.audio_seconds, rate, bounds.low, bounds.high, size)
        for name, time, rate, bounds, size in zip(
            ("float32", "INT8"), seconds, rates, judgement.intervals, sizes, strict=True
        )
    ]
    return [errors_by_speed(points, judgement.measure.errors)]


def _trials(quantized: Quantized) -> list[str]:
    if len(quantized.trials) == 1 and not quantized.trials[0].floating:
        return ['<p class="note">All layers are in INT8.</p>']
    rows = [
        [str(one.floating), percent(one.share), "passed" if one.passed else "failed", one.result]
        for one in quantized.trials
    ]
    return [table(("layers in float", "in INT8", "gate", "measured"), rows)]


def _in_float(layers: Sequence[LayerReport]) -> list[str]:
    rows = [[layer.name, f"{layer.macs / 1e6:.1f}", layer.why] for layer in layers if layer.precision != "int8"]
    return [table(("in float", "million multiply-accumulates", "why"), rows)] if rows else []


def _changed(judgement: Judgement) -> list[str]:
    head = f"<h2>Answered differently: {len(judgement.changed)} of {judgement.utterances} utterances</h2>"
    if judgement.measure is None:
        return []
    if not judgement.changed:
        return [head]
    labelled = judgement.increase is not None
    against = "what is true: first the float model, then INT8" if labelled else "the float model's answer"
    lines = [head, f'<p class="note">Against {against}.</p>']
    for one in judgement.changed:
        hypotheses = (one.first, one.second) if labelled else (one.second,)
        aligned = (words(judgement.measure.aligned(one.reference, text)) for text in hypotheses)
        lines.append(f'<div class="utterance"><div class="id">{escape(one.id)}</div>{"".join(aligned)}</div>')
    return lines
