"""An evaluation as one HTML page: tables, a chart, errors word by word.

What was not measured is named in one line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgespeech_calib.evaluation.charts import Point, errors_by_speed, noise_by_layer
from edgespeech_calib.evaluation.results import PERCENTILES, Comparison, Evaluation, SystemResult
from edgespeech_calib.pages import megabytes, number, render
from edgespeech_calib.pages.names import short_names, without_folders
from edgespeech_calib.scoring.measure import Measure
from edgespeech_calib.speech.utterance import Skipped

MOST_CARDS = 6  # systems that are shown at a glance too
UNBOUNDED = 1e9  # seconds: the upper end of the last row of latencies


def page(evaluation: Evaluation) -> str:
    """Return the page's text. Systems and recordings have no folders of this machine in their names."""
    evaluation = _named(evaluation)
    measure, systems = evaluation.measure, evaluation.systems
    return render(
        "evaluation",
        kicker="Evaluation by edgespeech",
        title=f"{measure.name.capitalize()} on {evaluation.data}",
        measure=measure,
        comparisons=[{**vars(one), "sentence": _changed(one)} for one in evaluation.comparisons],
        conditions=_conditions(evaluation),
        skipped=[(one.id, one.reason) for one in systems[0].skipped],
        cards=[_card(result, measure) for result in systems] if len(systems) <= MOST_CARDS else [],
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
        answers=[_answers(result) for result in systems],
    )


def _named(evaluation: Evaluation) -> Evaluation:
    """The same with names for people of other machines."""
    options = evaluation.options
    suffix = f", {options.search_name}" if options.search else ""
    names = [result.name for result in evaluation.systems]
    folders = [name.removesuffix(suffix) if suffix else name for name in names]
    short = [
        own + (suffix if name != folder else "")
        for name, folder, own in zip(names, folders, short_names(folders), strict=True)
    ]
    renamed = dict(zip(names, short, strict=True))
    known = (evaluation.data, *folders)

    def clean(text: str) -> str:
        return without_folders(text, known)

    return replace(
        evaluation,
        data=short_names([evaluation.data])[0],
        systems=tuple(
            replace(
                result,
                name=renamed[result.name],
                utterances=tuple(replace(one, id=clean(one.id)) for one in result.utterances),
                skipped=tuple(Skipped(clean(one.id), clean(one.reason)) for one in result.skipped),
            )
            for result in evaluation.systems
        ),
        comparisons=tuple(
            replace(
                one,
                first=renamed[one.first],
                second=renamed[one.second],
                changed=tuple(replace(each, id=clean(each.id)) for each in one.changed),
            )
            for one in evaluation.comparisons
        ),
    )


def _changed(one: Comparison) -> str:
    changed, total = len(one.changed), one.utterances
    if not changed:
        return "The answers are the same." if total == 1 else f"All {total} answers are the same."
    if changed == total:
        return "It was answered differently." if total == 1 else f"All {total} were answered differently."
    return f"{changed} of {total} {'was' if changed == 1 else 'were'} answered differently."


def _answers(result: SystemResult) -> dict[str, Any]:
    """A system's answers: how many are right, in words, and those that are wrong, the worst first."""
    wrong = [one for one in result.utterances if one.score.counts.errors]
    wrong.sort(key=lambda one: (-one.score.counts.errors, one.id))
    total, right = len(result.utterances), len(result.utterances) - len(wrong)
    if not wrong:
        sentence = "The only utterance has no error." if total == 1 else f"None of the {total} utterances has an error."
    elif right:
        sentence = (
            f"{right} of {total} utterances {'has' if right == 1 else 'have'} no error; the others, the worst first:"
        )
    else:
        sentence = (
            "The only utterance has errors:" if total == 1 else f"All {total} utterances have errors, the worst first:"
        )
    return {"name": result.name, "sentence": sentence, "wrong": wrong}


def _card(result: SystemResult, measure: Measure) -> tuple[str, str, str]:
    """A system at a glance."""
    figure, between = result.measured.cells()[:2]
    speed = f"{1 / max(result.real_time_factor, 1e-9):.0f} x real time"
    return result.name, figure, f"{measure.name}, {between}; {megabytes(result.facts.bytes)}, {speed}"


def _conditions(evaluation: Evaluation) -> list[str]:
    first = evaluation.systems[0]
    drawn = "" if evaluation.samples is None else f" drawn with seed {evaluation.seed}"
    facts = [
        f"{number(len(first.utterances), 'utterance')}{drawn}, {first.audio_seconds:.0f} s of speech",
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
