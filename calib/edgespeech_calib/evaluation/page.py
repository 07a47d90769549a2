"""An evaluation as one HTML page: tables, a chart, errors word by word.

What was not measured is named in one line.
"""

from collections.abc import Iterator, Sequence

from edgespeech_calib.evaluation.charts import Point, errors_by_speed, noise_by_layer
from edgespeech_calib.evaluation.results import PERCENTILES, Evaluation, SystemResult
from edgespeech_calib.pages import megabytes, render

UNBOUNDED = 1e9  # seconds: the upper end of the last row of latencies


def page(evaluation: Evaluation) -> str:
    """Return the page's text."""
    measure, systems = evaluation.measure, evaluation.systems
    return render(
        "evaluation",
        title=f"{measure.name.capitalize()} on {evaluation.data}",
        measure=measure,
        systems=systems,
        comparisons=evaluation.comparisons,
        conditions=_conditions(evaluation),
        skipped=systems[0].skipped,
        results=[[result.name, *result.measured.cells()] for result in systems],
        costs=[_cost_row(result) for result in systems],
        chart=errors_by_speed([_point(result) for result in systems], measure.errors),
        tables=[
            (f"{title}: {result.name}", head, list(rows))
            for result in systems
            for title, head, rows in result.measured.tables()
        ],
        latencies=list(_latencies(systems)),
        percentiles=[f"{percentile} %" for percentile in PERCENTILES],
        noise=[(result.name, noise_by_layer(result.noise)) for result in systems if result.noise],
    )


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
    return facts


def _cost_row(result: SystemResult) -> list[str]:
    facts = result.facts
    memory = "unknown" if result.peak_memory is None else megabytes(result.peak_memory)
    speed, load = f"{result.real_time_factor:.4f}", f"{result.load_seconds:.2f} s"
    return [result.name, megabytes(facts.bytes), facts.precision, facts.engine, speed, load, memory]


def _point(result: SystemResult) -> Point:
    bounds, rate = result.measured.interval, result.measured.counts.rate
    return Point(result.name, result.real_time_factor, rate, bounds.low, bounds.high, result.facts.bytes)


def _latencies(systems: Sequence[SystemResult]) -> Iterator[tuple[str, list[list[str]]]]:
    """Name and rows of each system that was timed utterance by utterance; none where they ran in batches."""
    for result in systems:
        rows = []
        for latency in result.latencies():
            is_last = latency.longest >= UNBOUNDED
            span = f"over {latency.shortest:g} s" if is_last else f"{latency.shortest:g} to {latency.longest:g} s"
            times = (f"{1000 * latency.percentiles[percentile]:.0f} ms" for percentile in PERCENTILES)
            rows.append([span, str(latency.utterances), *times])
        if rows:
            yield result.name, rows
