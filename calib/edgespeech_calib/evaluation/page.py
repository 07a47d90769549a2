"""An evaluation as one HTML page that needs nothing from outside: tables, a chart, errors word by word.

What was not measured is named in one line.
"""

from collections.abc import Iterable, Sequence
from html import escape

from edgespeech_calib.evaluation.charts import Point, errors_by_speed, noise_by_layer
from edgespeech_calib.evaluation.results import PERCENTILES, Comparison, Evaluation, SystemResult, UtteranceResult
from edgespeech_calib.scoring.alignment import Pair
from edgespeech_calib.scoring.measure import Measure

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2329; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .2rem .7rem .2rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; } th { border-bottom: 1px solid #98a4ad; font-weight: 600; }
svg { width: 100%; } svg text { font-size: 12px; fill: #1c2329; } .grid { stroke: #dde3e7; }
.utterance { margin: .5rem 0; } .id { color: #66737d; font-size: .85em; }
.substitution { background: #ffe2b8; } .deletion { background: #ffd0d0; text-decoration: line-through; }
.insertion { background: #cfe8ff; } .words span { padding: 0 .15em; border-radius: 3px; } .note { color: #66737d; }
@media (prefers-color-scheme: dark) {
  body { background: #14181b; color: #dfe5e9; } svg text { fill: #dfe5e9; } .grid { stroke: #333c43; }
  .substitution { background: #6b4a10; } .deletion { background: #6e2424; } .insertion { background: #17466e; }
}
"""
MINUS = "\N{MINUS SIGN}"
NOISE_NOTE = (
    '<p class="note">In dB, each layer alone in INT8, measured on calibration speech when the bundle was made; more is '
    "better. Pale bars are layers that compute in float.</p>"
)


def page(evaluation: Evaluation) -> str:
    """Return the page's text."""
    measure = evaluation.measure
    what = measure.name.capitalize()
    parts = [
        f"<h1>{what} on {escape(evaluation.data)}</h1>",
        *_conditions(evaluation),
        "<h2>Results</h2>",
        table(("system", *measure.columns), ([result.name, *result.measured.cells()] for result in evaluation.systems)),
        table(
            ("system", "size", "precision", "engine", "real-time factor", "load", "peak memory"),
            (_cost_row(result) for result in evaluation.systems),
        ),
        f"<h2>{measure.errors.capitalize()} against speed and size</h2>",
        '<p class="note">Down and to the left is better. The area of a disc is the size on disk, the upright line '
        "the 95 % interval.</p>",
        errors_by_speed([_point(result) for result in evaluation.systems], measure.errors),
        *(part for result in evaluation.systems for part in _tables(result)),
        *_latency(evaluation.systems),
        *(part for comparison in evaluation.comparisons for part in _comparison(comparison, measure)),
        *_layers(evaluation.systems),
        *(part for result in evaluation.systems for part in _utterances(result, measure)),
    ]
    return document(f"{what} on {evaluation.data}", parts)


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page; `parts` are HTML, the title is text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def percent(rate: float) -> str:
    """`3.65 %`."""
    return f"{100 * rate:.2f} %"


def signed(rate: float) -> str:
    """`+0.12`: a difference in percentage points."""
    text = f"{100 * abs(rate):.2f}"
    return text if float(text) == 0 else f"{'+' if rate > 0 else MINUS}{text}"


def megabytes(count: float) -> str:
    """`12.3 MB`."""
    return f"{count / 1e6:.1f} MB"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts, which are escaped here."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", line(head, "th"), *(line(row, "td") for row in rows), "</table>"])


def _conditions(evaluation: Evaluation) -> list[str]:
    first = evaluation.systems[0]
    drawn = "all of them" if evaluation.samples is None else f"drawn with seed {evaluation.seed}"
    facts = [
        f"{len(first.utterances)} utterances ({drawn}), {first.audio_seconds:.0f} s of speech",
        *evaluation.measure.notes(),
        f"{evaluation.machine}; threads: {evaluation.options.threads or 'the engine’s own choice'}; "
        f"batches of {evaluation.batch_size}",
    ]
    for result in evaluation.systems:
        if result.resampled:
            rates = ", ".join(f"{count} from {rate} Hz" for rate, count in sorted(result.resampled.items()))
            facts.append(f"resampled to {result.facts.sampling_rate} Hz for {result.name}: {rates}")
    lines = ["<ul>", *(f"<li>{escape(fact)}</li>" for fact in facts), "</ul>"]
    if first.skipped:
        lines.append(f"<details><summary>{len(first.skipped)} left out</summary><ul>")
        lines += [f"<li>{escape(skipped.id)}: {escape(skipped.reason)}</li>" for skipped in first.skipped]
        lines.append("</ul></details>")
    return lines


def _cost_row(result: SystemResult) -> list[str]:
    facts = result.facts
    memory = "unknown" if result.peak_memory is None else megabytes(result.peak_memory)
    speed, load = f"{result.real_time_factor:.4f}", f"{result.load_seconds:.2f} s"
    return [result.name, megabytes(facts.bytes), facts.precision, facts.engine, speed, load, memory]


def _point(result: SystemResult) -> Point:
    bounds, rate = result.measured.interval, result.measured.counts.rate
    return Point(result.name, result.real_time_factor, rate, bounds.low, bounds.high, result.facts.bytes)


def _tables(result: SystemResult) -> list[str]:
    parts = []
    for title, head, rows in result.measured.tables():
        parts += [f"<h2>{title}: {escape(result.name)}</h2>", table(head, rows)]
    return parts


def _latency(systems: Sequence[SystemResult]) -> list[str]:
    """A table for each system; nothing where utterances ran in batches."""
    parts = []
    for result in systems:
        rows = [
            [
                f"{latency.shortest:g} to {latency.longest:g} s"
                if latency.longest < 1e9
                else f"over {latency.shortest:g} s",
                str(latency.utterances),
                *(f"{1000 * latency.percentiles[percentile]:.0f} ms" for percentile in PERCENTILES),
            ]
            for latency in result.latencies()
        ]
        if rows:
            head = ("audio", "utterances", *(f"{percentile} %" for percentile in PERCENTILES))
            parts += [f"<h3>{escape(result.name)}</h3>", table(head, rows)]
    title = "<h2>Time for an utterance by its length</h2>"
    note = '<p class="note">So many percent of the utterances took at most so long.</p>'
    return [title, note, *parts] if parts else []


def _comparison(comparison: Comparison, measure: Measure) -> list[str]:
    difference = comparison.difference
    parts = [
        f"<h2>{escape(comparison.first)} against {escape(comparison.second)}</h2>",
        f"<p>{signed(difference.value)} percentage points of {measure.name}, 95 % interval {signed(difference.low)} to "
        f"{signed(difference.high)}, paired over {comparison.utterances} utterances. "
        f"{len(comparison.changed)} of them were answered differently.</p>",
        f"<details><summary>The {len(comparison.changed)} utterances</summary>",
    ]
    for one in comparison.changed:
        wrong = f"{one.first_errors} and {one.second_errors} {measure.unit}s wrong"
        hypotheses = (words(measure.aligned(one.reference, text)) for text in (one.first, one.second))
        parts.append(
            f'<div class="utterance"><div class="id">{escape(one.id)}: {wrong}</div>{"".join(hypotheses)}</div>'
        )
    return [*parts, "</details>"]


def _layers(systems: Sequence[SystemResult]) -> list[str]:
    """Signal-to-quantization-noise ratio by layer: what the bundles' exports measured, not this evaluation."""
    parts = ['<section id="layers"><h2>Signal to quantization noise by layer</h2>']
    for result in systems:
        if result.noise:
            parts += [f"<h3>{escape(result.name)}</h3>", NOISE_NOTE, noise_by_layer(result.noise)]
    if len(parts) == 1:
        parts.append('<p class="note">Not measured: none of these is an INT8 bundle.</p>')
    return [*parts, "</section>"]


def _utterances(result: SystemResult, measure: Measure) -> list[str]:
    wrong = [utterance for utterance in result.utterances if utterance.score.counts.errors]
    wrong.sort(key=lambda utterance: (-utterance.score.counts.errors, utterance.id))
    right = len(result.utterances) - len(wrong)
    return [
        f"<h2>Answers of {escape(result.name)}</h2>",
        f'<p class="note">{right} of {len(result.utterances)} utterances have no error; the others, the worst first: '
        '<span class="substitution">reference → answer</span>, <span class="deletion">missing</span>, '
        '<span class="insertion">added</span>.</p>',
        *(_utterance(utterance, measure) for utterance in wrong),
    ]


def _utterance(utterance: UtteranceResult, measure: Measure) -> str:
    counts = utterance.score.counts
    head = (
        f"{escape(utterance.id)}, {utterance.seconds:.1f} s: {counts.errors} errors in {counts.total} {measure.unit}s"
    )
    return f'<div class="utterance"><div class="id">{head}</div>{words(utterance.score.alignment)}</div>'


def words(alignment: Iterable[Pair]) -> str:
    """Return a line of words, those that are wrong coloured."""
    return f'<div class="words">{" ".join(map(_word, alignment))}</div>'


def _word(pair: Pair) -> str:
    said, answered = escape(pair.reference or ""), escape(pair.hypothesis or "")
    if pair.kind == "hit":
        return said
    text = f"{said} → {answered}" if pair.kind == "substitution" else said or answered
    return f'<span class="{pair.kind}">{text}</span>'
