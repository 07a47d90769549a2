"""How late live captions are, what they cost, and how many words they have wrong, on a virtual clock.

python -m benchmarks.live BUNDLE --data SET --json build/bench-live.json --picture docs/live.svg

Recordings of SET are joined with silences and played as if they were said now. The JSON holds `seconds` of sound; in
milliseconds the median, the 95th percentile and the largest of `first_partial` (behind the end of the first word),
`committed` (a word that stays, behind its end) and `final` (behind the moment in which the endpoint rule is fulfilled);
`wer` of the final texts and of `transcribe`; `cost`, seconds of one core for a second of sound, of each minute, and
`megabytes`, the most memory until then.
"""

import json
import resource
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import edgespeech_runtime
import numpy as np
from edgespeech_calib import open_set, score
from edgespeech_calib.scoring.bootstrap import paired_difference
from edgespeech_calib.scoring.normalisation import normalise
from edgespeech_runtime.live.intake import Waveform

from benchmarks.live_picture import picture
from benchmarks.virtual_clock import Cost, Told, played

SILENCES = (1.5, 2.0, 3.5)  # seconds between recordings, in turn
AFTER_SPEECH = 1.2  # seconds, the endpoint rule
PERCENTILES = {"median": 50, "p95": 95, "max": 100}


@dataclass
class Delays:
    """Seconds."""

    first_partial: list[float] = field(default_factory=list)
    committed: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--data", required=True, metavar="SET", help="Transcribed speech, as `edgespeech evaluate` takes it.")
@click.option("--count", type=click.IntRange(min=1), default=24, show_default=True, help="Recordings of it.")
@click.option("--latency", default="balanced", show_default=True, help="Of the stream.")
@click.option("--slower", type=float, default=1.0, show_default=True, help="Slow the machine down.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here.")
@click.option("--picture", "svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw it, as SVG.")
def main(
    bundle: Path, data: str, count: int, latency: str, slower: float, json_file: Path | None, svg: Path | None
) -> None:
    """Measure live captions with a CTC bundle on recordings that are joined."""
    chosen = list(open_set(data).transcribed().sample(count))
    with edgespeech_runtime.load(bundle, threads=1) as model:
        if not isinstance(model, edgespeech_runtime.CtcModel):
            raise click.BadParameter(f"{bundle} is no CTC model", param_hint="BUNDLE")
        rate = model.manifest.audio.sampling_rate
        recordings = [each.audio.read(rate) for each in chosen]
        joined, ends = join(recordings, rate)
        stream = model.stream(latency=int(latency) if latency.isdecimal() else latency)  # type: ignore[arg-type]
        told: list[Told] = []
        costs: list[Cost] = []
        megabytes: list[float] = []
        for item in played(stream, joined, slower):
            (told if isinstance(item, Told) else costs).append(item)  # type: ignore[arg-type]  # by its kind
            if isinstance(item, Cost) and int(item.at / 60) >= len(megabytes):
                megabytes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
        offline = [model.transcribe(samples).text for samples in recordings]
    words = texts_of(told, ends)
    result = {
        "seconds": round(len(joined) / rate, 1),
        "latency": latency,
        "slower": slower,
        **{name: figures(values) for name, values in vars(delays_of(told)).items()},
        "wer": errors([each.text or "" for each in chosen], words, offline),
        "cost": per_minute(costs),
        "megabytes": [round(value) for value in megabytes],
        "largest_lag": round(max(each.lag for each in told), 2),
    }
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if svg is not None:
        svg.write_text(picture(vars(delays_of(told)), per_minute(costs), megabytes), encoding="utf-8")
    click.echo(json.dumps(result, indent=2))


def join(recordings: Sequence[Waveform], rate: int) -> tuple[Waveform, list[float]]:
    """Recordings with silences behind them, and where each ends, in seconds."""
    parts: list[Waveform] = []
    ends, samples = [], 0
    for index, recording in enumerate(recordings):
        silence = np.zeros(round(SILENCES[index % len(SILENCES)] * rate), np.float32)
        parts += [recording, silence]
        samples += len(recording) + len(silence)
        ends.append((samples - len(silence) / 2) / rate)
    return np.concatenate(parts), ends


def texts_of(told: Sequence[Told], ends: Sequence[float]) -> list[str]:
    """The final text of each recording."""
    texts: list[list[str]] = [[] for _ in ends]
    for word in (word for each in told if each.event.is_final for word in each.event.words):
        texts[min(bisect_left(ends, word.start), len(ends) - 1)].append(word.text)
    return [" ".join(words) for words in texts]


def delays_of(told: Sequence[Told]) -> Delays:
    """How late everything was told. The words of final events say when it was said."""
    delays, seen, goes_on = Delays(), list[Told](), False
    for each in told:
        seen.append(each)
        if not each.event.is_final:
            continue
        words = each.event.words
        if not goes_on:  # else its first words were shown with those before
            delays.first_partial.append(next(one.at for one in seen if one.event.text) - words[0].end)
        for index, word in enumerate(words):
            at = next(one.at for one in seen if one.event.is_final or one.event.committed_words > index)
            delays.committed.append(at - word.end)
        if each.event.reason == "silence":
            delays.final.append(each.at - words[-1].end - AFTER_SPEECH)
        seen, goes_on = [], each.event.reason == "length"
    return delays


def figures(seconds: Sequence[float]) -> dict[str, int]:
    """Milliseconds."""
    return {name: round(1000 * float(np.percentile(seconds, share))) for name, share in PERCENTILES.items()}


def errors(said: Sequence[str], live: Sequence[str], offline: Sequence[str]) -> dict[str, Any]:
    """Word error rates in percent, and their difference with its interval."""
    said, live, offline = ([normalise(text, "basic") for text in texts] for texts in (said, live, offline))
    scores = score(said, live), score(said, offline)
    wrong, wrong_offline = ([one.counts.errors for one in each.utterances] for each in scores)
    totals = [one.counts.total for one in scores[0].utterances]
    difference = paired_difference(wrong, wrong_offline, totals)
    return {
        "live": round(100 * scores[0].wer, 2),
        "offline": round(100 * scores[1].wer, 2),
        "words": sum(totals),
        "difference": [round(100 * x, 2) for x in (difference.value, difference.low, difference.high)],
    }


def per_minute(costs: Sequence[Cost]) -> list[float]:
    """Seconds of one core for a second of sound, in each minute."""
    minutes = range(int(costs[-1].at / 60) + 1)
    spent = [sum(cost.seconds for cost in costs if int(cost.at / 60) == minute) for minute in minutes]
    lengths = [min(60.0, costs[-1].at - 60 * minute) for minute in minutes]
    return [round(one / length, 4) for one, length in zip(spent, lengths, strict=True) if length > 1]


if __name__ == "__main__":
    main()
