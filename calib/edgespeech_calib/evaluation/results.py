"""What an evaluation found. Rates are fractions, times seconds, sizes bytes; all of it goes into JSON."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from edgespeech_calib.evaluation.charts import LayerNoise
from edgespeech_calib.evaluation.systems import Facts, Options
from edgespeech_calib.scoring.bootstrap import Difference
from edgespeech_calib.scoring.measure import Measure, Measured
from edgespeech_calib.scoring.scoring import UtteranceScore
from edgespeech_calib.speech.utterance import Skipped

EDGES = (0.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, float("inf"))  # seconds of audio
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class UtteranceResult:
    """A system's answer to one utterance, as it is compared; `latency` is None where utterances ran in batches."""

    id: str
    seconds: float
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
    utterances: tuple[UtteranceResult, ...]
    measured: Measured
    seconds: float
    load_seconds: float
    peak_memory: int | None
    skipped: tuple[Skipped, ...]
    resampled: dict[int, int]
    noise: tuple[LayerNoise, ...] = ()

    @property
    def audio_seconds(self) -> float:
        """Length of all utterances."""
        return sum(utterance.seconds for utterance in self.utterances)

    @property
    def real_time_factor(self) -> float:
        """Seconds of work for a second of sound."""
        return self.seconds / self.audio_seconds

    def latencies(self) -> list[Latency]:
        """Percentiles by length; empty where utterances ran in batches."""
        return latencies(
            (utterance.seconds, utterance.latency) for utterance in self.utterances if utterance.latency is not None
        )


def latencies(times: Iterable[tuple[float, float]]) -> list[Latency]:
    """Percentiles of pairs (seconds of audio, seconds of work) between `EDGES`; lengths that did not occur left out."""
    pairs = list(times)
    bands = []
    for shortest, longest in pairwise(EDGES):
        inside = [work for audio, work in pairs if shortest <= audio < longest]
        if inside:
            values = np.percentile(inside, PERCENTILES)
            percentiles = dict(zip(PERCENTILES, map(float, values), strict=True))
            bands.append(Latency(shortest, longest, len(inside), percentiles))
    return bands


@dataclass(frozen=True)
class Changed:
    """An utterance that two systems answered differently, and how many words, or labels, or frames each got wrong."""

    id: str
    reference: str
    first: str
    second: str
    first_errors: int
    second_errors: int


@dataclass(frozen=True)
class Comparison:
    """Two systems on the utterances that both answered: what is measured of the first minus that of the second.

    `changes` says of each utterance in `changed` in which way.
    """

    first: str
    second: str
    utterances: int
    difference: Difference
    changed: tuple[Changed, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """All of it. The comparisons are of the first system with each other one."""

    data: str
    measure: Measure
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
            **self.measure.conditions(),
            "samples": self.samples,
            "seed": self.seed,
            "batch_size": self.batch_size,
            "options": asdict(self.options),
            "machine": self.machine,
            "systems": [_system(result) for result in self.systems],
            "comparisons": [_comparison(comparison, self.measure.key) for comparison in self.comparisons],
        }


def _system(result: SystemResult) -> dict[str, Any]:
    return {
        "name": result.name,
        **result.facts.to_dict(),
        "utterances": len(result.utterances),
        "audio_seconds": round(result.audio_seconds, 3),
        **result.measured.figures(),
        "real_time_factor": result.real_time_factor,
        "seconds": result.seconds,
        "latency": [_latency(latency) for latency in result.latencies()],
        "load_seconds": result.load_seconds,
        "peak_memory_bytes": result.peak_memory,
        "resampled": {str(rate): count for rate, count in result.resampled.items()},
        "skipped": [asdict(skipped) for skipped in result.skipped],
        "results": [_result(utterance, result.measured, index) for index, utterance in enumerate(result.utterances)],
    }


def _latency(latency: Latency) -> dict[str, Any]:
    longest = None if latency.longest == float("inf") else latency.longest  # JSON has no infinity
    percentiles = {f"p{percent}": value for percent, value in latency.percentiles.items()}
    return {"from": latency.shortest, "below": longest, "utterances": latency.utterances, **percentiles}


def _result(utterance: UtteranceResult, measured: Measured, index: int) -> dict[str, Any]:
    own = measured.result(index)
    return {"id": utterance.id, "seconds": round(utterance.seconds, 4), **own, "latency": utterance.latency}


def _comparison(comparison: Comparison, key: str) -> dict[str, Any]:
    return {
        "first": comparison.first,
        "second": comparison.second,
        "utterances": comparison.utterances,
        f"{key}_difference": asdict(comparison.difference),
        "changed": [asdict(changed) for changed in comparison.changed],
    }
