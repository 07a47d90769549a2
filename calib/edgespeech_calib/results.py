"""What an evaluation found. Rates are fractions, times seconds, sizes bytes; all of it goes into JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from edgespeech_calib.bootstrap import Difference, Interval
from edgespeech_calib.charts import LayerNoise
from edgespeech_calib.normalisation import DESCRIPTIONS, Normalisation
from edgespeech_calib.scoring import Counts, Score, UtteranceScore
from edgespeech_calib.systems import Facts, Options
from edgespeech_calib.utterance import Skipped

EDGES = (0.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, float("inf"))  # seconds of audio
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Heard:
    """What a system heard in one utterance; both texts as they are compared, `raw` as it was heard.

    `latency` is None where utterances ran in batches.
    """

    id: str
    seconds: float
    raw: str
    score: UtteranceScore
    latency: float | None


@dataclass(frozen=True)
class Latency:
    """Seconds that a system took for utterances of `shortest` to less than `longest` seconds, by percentile."""

    shortest: float
    longest: float
    utterances: int
    percentiles: dict[int, float]


@dataclass(frozen=True)
class SystemResult:
    """How a system did: `seconds` for all utterances, of which one, untimed, ran before to warm it up.

    `resampled` counts utterances by their own sampling rate where it was not the system's. `noise` is what the export
    of an INT8 bundle measured of its layers; () for all others.
    """

    name: str
    facts: Facts
    heard: tuple[Heard, ...]
    score: Score
    wer_interval: Interval
    cer_interval: Interval
    seconds: float
    load_seconds: float
    peak_memory: int | None
    skipped: tuple[Skipped, ...]
    resampled: dict[int, int]
    noise: tuple[LayerNoise, ...] = ()

    @property
    def audio_seconds(self) -> float:
        """Length of all that was heard."""
        return sum(heard.seconds for heard in self.heard)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of sound."""
        return self.seconds / self.audio_seconds

    def latencies(self) -> list[Latency]:
        """Percentiles by length; empty where utterances ran in batches."""
        return latencies((heard.seconds, heard.latency) for heard in self.heard if heard.latency is not None)


def latencies(times: Iterable[tuple[float, float]]) -> list[Latency]:
    """Percentiles of pairs (seconds of audio, seconds of work) between `EDGES`; lengths that did not occur left out."""
    pairs = list(times)
    found = []
    for shortest, longest in pairwise(EDGES):
        inside = [work for audio, work in pairs if shortest <= audio < longest]
        if inside:
            values = np.percentile(inside, PERCENTILES)
            percentiles = dict(zip(PERCENTILES, map(float, values), strict=True))
            found.append(Latency(shortest, longest, len(inside), percentiles))
    return found


@dataclass(frozen=True)
class Changed:
    """An utterance that two systems heard differently, and how many words each got wrong."""

    id: str
    reference: str
    first: str
    second: str
    first_errors: int
    second_errors: int


@dataclass(frozen=True)
class Comparison:
    """Two systems on the utterances that both heard: word error rate of the first minus that of the second."""

    first: str
    second: str
    utterances: int
    wer: Difference
    changed: tuple[Changed, ...]


@dataclass(frozen=True)
class Evaluation:
    """All of it. The comparisons are of the first system with each other one."""

    data: str
    normalisation: Normalisation
    samples: int | None
    seed: int
    batch_size: int
    options: Options
    machine: str
    systems: tuple[SystemResult, ...]
    comparisons: tuple[Comparison, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, ready for JSON."""
        return {
            "data": self.data,
            "normalisation": {"name": self.normalisation, "description": DESCRIPTIONS[self.normalisation]},
            "samples": self.samples,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "options": asdict(self.options),
            "machine": self.machine,
            "systems": [_system(result) for result in self.systems],
            "comparisons": [_comparison(comparison) for comparison in self.comparisons],
        }


def _system(result: SystemResult) -> dict[str, Any]:
    return {
        "name": result.name,
        **asdict(result.facts),
        "utterances": len(result.heard),
        "audio_seconds": round(result.audio_seconds, 3),
        "wer": result.score.wer,
        **_counts(result.score.counts, "words"),
        "wer_interval": asdict(result.wer_interval),
        "cer": result.score.cer,
        "characters": _counts(result.score.characters, "characters"),
        "cer_interval": asdict(result.cer_interval),
        "real_time_factor": result.real_time_factor,
        "seconds": result.seconds,
        "latency": [_latency(latency) for latency in result.latencies()],
        "load_seconds": result.load_seconds,
        "peak_memory_bytes": result.peak_memory,
        "resampled": {str(rate): count for rate, count in result.resampled.items()},
        "skipped": [asdict(skipped) for skipped in result.skipped],
        "results": [_heard(heard) for heard in result.heard],
    }


def _counts(counts: Counts, noun: str) -> dict[str, int]:
    return {
        noun: counts.total,
        "hits": counts.hits,
        "substitutions": counts.substitutions,
        "insertions": counts.insertions,
        "deletions": counts.deletions,
    }


def _latency(latency: Latency) -> dict[str, Any]:
    longest = None if latency.longest == float("inf") else latency.longest  # JSON has no infinity
    percentiles = {f"p{percent}": value for percent, value in latency.percentiles.items()}
    return {"from": latency.shortest, "below": longest, "utterances": latency.utterances, **percentiles}


def _heard(heard: Heard) -> dict[str, Any]:
    return {
        "id": heard.id,
        "seconds": round(heard.seconds, 4),
        "reference": heard.score.reference,
        "hypothesis": heard.score.hypothesis,
        "heard": heard.raw,
        **_counts(heard.score.counts, "words"),
        "latency": heard.latency,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "first": comparison.first,
        "second": comparison.second,
        "utterances": comparison.utterances,
        "wer_difference": asdict(comparison.wer),
        "changed": [asdict(changed) for changed in comparison.changed],
    }


def rates(scores: Sequence[UtteranceScore]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Word errors, words, character errors and characters of each utterance."""
    return (
        [score.counts.errors for score in scores],
        [score.counts.total for score in scores],
        [score.characters.errors for score in scores],
        [score.characters.total for score in scores],
    )
