"""Running systems over a labelled set, one after the other, each in a process of its own, and judging what they say."""

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE
from edgespeech_runtime.errors import AudioError, AudioPackageError

from edgespeech_calib.errors import DataError, EvaluationError
from edgespeech_calib.evaluation.charts import LayerNoise
from edgespeech_calib.evaluation.results import Changed, Comparison, Evaluation, SystemResult, UtteranceResult
from edgespeech_calib.evaluation.systems import Facts, Options
from edgespeech_calib.evaluation.worker import Answered, Worker
from edgespeech_calib.scoring.bootstrap import paired_difference
from edgespeech_calib.scoring.labelled_frames import Answer
from edgespeech_calib.scoring.measure import Measure, Measured
from edgespeech_calib.scoring.measures import measure_of
from edgespeech_calib.scoring.normalisation import Normalisation
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Skipped, Utterance

AHEAD = 4  # batches that are read at a time, so that utterances of like lengths run together
Waveform = npt.NDArray[np.float32]
Batch = list[tuple[Utterance, Waveform]]
Asked = tuple[Utterance, int, Answer, float | None]  # an utterance, its samples, what the system said, and when
Progress = Callable[[str, int, int], object]  # system, utterances done, utterances in all


@dataclass
class Reading:
    """Utterances as a system takes them: what cannot be used is left out and named, other rates are resampled."""

    utterances: Sequence[Utterance]
    sampling_rate: int
    shortest: int  # samples
    max_samples: int | None = None
    skipped: list[Skipped] = field(default_factory=list)
    resampled: Counter[int] = field(default_factory=Counter)

    def batches(self, size: int) -> Iterator[Batch]:
        """So many utterances at a time; no more are held in memory."""
        batch: Batch = []
        for utterance in self.utterances:
            waveform = self._read(utterance)
            if waveform is not None:
                batch.append((utterance, waveform))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _read(self, utterance: Utterance) -> Waveform | None:
        try:
            rate = utterance.audio.header().sampling_rate
            waveform = utterance.audio.read(self.sampling_rate)
        except AudioPackageError:
            raise
        except AudioError as error:
            self.skipped.append(Skipped(utterance.id, str(error)))
            return None
        reason = ""
        if len(waveform) < self.shortest:
            reason = f"{len(waveform)} samples are too few; the model needs at least {self.shortest}"
        elif self.max_samples is not None and len(waveform) > self.max_samples:
            reason = f"{len(waveform)} samples are too many; the model's graphs of fixed shapes hold {self.max_samples}"
        if reason:
            self.skipped.append(Skipped(utterance.id, f"{utterance.audio.name}: {reason}"))
            return None
        if rate != self.sampling_rate:
            self.resampled[rate] += 1
        return waveform


def evaluate(
    systems: Sequence[str | os.PathLike[str]],
    data: SpeechSet,
    options: Options = Options(),  # noqa: B008  # frozen
    *,
    samples: int | None = None,
    seed: int = 0,
    normalisation: Normalisation = "basic",
    batch_size: int = 1,
    progress: Progress = lambda system, done, total: None,
) -> Evaluation:
    """Evaluate bundles and checkpoint folders on `samples` utterances of a set (None: all), and compare the first
    with each other one. Where the options ask for a search over a CTC model's output, each system stands there with it
    and without.

    Latencies are measured where utterances run alone, which is `batch_size` 1.

    Raises:
        DataError: the set does not say what the systems' task asks for, or none of its recordings can be used.
        ScoringError: nothing is said in the whole set.
        EvaluationError: a system cannot be loaded or run, or the systems are for different tasks.
    """
    folders = [Path(system) for system in systems]
    run = _Run(data, options, samples, seed, normalisation, batch_size, progress)
    _require_one_kind(folders)
    results = [result for folder in folders for result in run.variants(folder)]
    comparisons = tuple(compared(results[0], other, run.measure, seed) for other in results[1:])
    return Evaluation(
        data.name,
        run.measure,
        samples,
        seed,
        batch_size,
        options,
        machine(),
        tuple(results),
        comparisons,
    )


def _require_one_kind(folders: Sequence[Path]) -> None:
    """Refuse bundles that no measure has in common before any is run; of checkpoints it shows when they are loaded."""
    measures = {}
    for folder in folders:
        try:
            task = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))["task"]
            measures[type(measure_of(str(folder), task))] = folder
        except (OSError, ValueError, KeyError, TypeError):  # what is wrong there shows when it is opened
            continue
    if len(measures) > 1:
        raise _unlike(*list(measures.values())[:2])


def _unlike(first: Path, second: Path) -> EvaluationError:
    return EvaluationError(f"{first} and {second} answer different questions; compare models for one task")


@dataclass
class _Run:
    """What one system after the other is asked; the task of the first decides how all are judged."""

    data: SpeechSet
    options: Options
    samples: int | None
    seed: int
    normalisation: Normalisation
    batch_size: int
    progress: Progress
    _measure: Measure | None = None
    _first: Path = Path()
    _chosen: SpeechSet | None = None

    @property
    def measure(self) -> Measure:
        """How systems are judged; decided by the first that was asked."""
        if self._measure is None:
            raise EvaluationError("no system was evaluated; name at least one")
        return self._measure

    def variants(self, folder: Path) -> list[SystemResult]:
        """A system, or, with a search, that system twice: with it and without."""
        if not self.options.search:
            return [self.system(folder, self.options)]
        searched = self.system(folder, self.options, f"{folder}, {self.options.search_name}")
        return [searched, self.system(folder, self.options.greedy)]

    def system(self, folder: Path, options: Options, name: str | None = None) -> SystemResult:
        """Ask one system about all utterances, and judge its answers; it is called `name`, or else by its folder."""
        name = str(folder) if name is None else name
        self.progress(name, 0, len(self.data))
        with Worker(folder, options) as worker:
            facts = worker.facts
            data = self._agree(folder, facts)
            data = self.measure.fitting(data, str(folder), facts)
            reading = Reading(data.utterances, facts.sampling_rate, facts.shortest, facts.max_samples)
            asked, seconds, memory = self._ask(worker, reading, name)
            load_seconds = worker.load_seconds
        if not asked:
            reason = f"; the first: {reading.skipped[0].reason}" if reading.skipped else ""
            raise DataError(f"none of the {len(data)} recordings of {data.name} can be used{reason}")
        measured = self.measure.judge(
            [utterance for utterance, *_ in asked], [answer for *_, answer, _ in asked], facts, self.seed
        )
        return SystemResult(
            name=name,
            facts=facts,
            utterances=_utterance_results(asked, measured, facts.sampling_rate),
            measured=measured,
            seconds=seconds,
            load_seconds=load_seconds,
            peak_memory=memory,
            skipped=(*data.skipped, *reading.skipped),
            resampled=dict(reading.resampled),
            noise=layer_noise(folder),
        )

    def _agree(self, folder: Path, facts: Facts) -> SpeechSet:
        """The utterances that all systems are asked about. Raises DataError, EvaluationError."""
        measure = measure_of(str(folder), facts.task, self.normalisation, facts.problem_type)
        if self._measure is None or self._chosen is None:
            self._chosen = measure.labelled(self.data).sample(self.samples, self.seed)
            self._measure, self._first = measure, folder
        elif type(measure) is not type(self._measure):
            raise _unlike(self._first, folder)
        return self._chosen

    def _ask(self, worker: Worker, reading: Reading, name: str) -> tuple[list[Asked], float, int | None]:
        """Answers, the seconds that they took, the peak memory."""
        asked: list[Asked] = []
        seconds, memory, total = 0.0, None, len(reading.utterances)
        for batch in reading.batches(1 if self.batch_size == 1 else self.batch_size * AHEAD):
            waveforms = [waveform for _, waveform in batch]
            if not asked:  # the first run pays for what is done once
                worker.answer(waveforms[:1], 1)
            answered = worker.answer(waveforms, self.batch_size)
            asked += _timed(batch, answered, self.batch_size)
            seconds += answered.seconds
            memory = answered.peak_memory
            self.progress(name, len(asked) + len(reading.skipped), total)
        return asked, seconds, memory


def _timed(batch: Batch, answered: Answered, batch_size: int) -> list[Asked]:
    latency = answered.seconds if batch_size == 1 else None
    return [
        (utterance, len(waveform), answer, latency)
        for (utterance, waveform), answer in zip(batch, answered.answers, strict=True)
    ]


def _utterance_results(asked: Sequence[Asked], measured: Measured, rate: int) -> tuple[UtteranceResult, ...]:
    return tuple(
        UtteranceResult(utterance.id, samples / rate, score, latency)
        for (utterance, samples, _, latency), score in zip(asked, measured.utterances, strict=True)
    )


def layer_noise(folder: Path) -> tuple[LayerNoise, ...]:
    """Return what the manifest of an INT8 bundle says of its layers; () for any other folder."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        layers = manifest["report"]["quantization"]["layers"]
        return tuple(LayerNoise(part["name"], part["noise_db"], part["precision"] != "int8") for part in layers)
    except (OSError, ValueError, KeyError, TypeError):  # a report is free in its form
        return ()


def compared(first: SystemResult, second: SystemResult, measure: Measure, seed: int = 0) -> Comparison:
    """Compare two systems on the utterances that both answered.

    Raises:
        DataError: there are none.
    """
    others = {result.id: result for result in second.utterances}
    pairs = [(result, others[result.id]) for result in first.utterances if result.id in others]
    if not pairs:
        raise DataError(f"{first.name} and {second.name} could use no utterance both")
    difference = paired_difference(
        [a.score.counts.errors for a, _ in pairs],
        [b.score.counts.errors for _, b in pairs],
        [a.score.counts.total for a, _ in pairs],
        seed=seed,
    )
    differing = [(a.id, a.score, b.score) for a, b in pairs if a.score.hypothesis != b.score.hypothesis]
    changed = tuple(
        Changed(name, one.reference, one.hypothesis, other.hypothesis, one.counts.errors, other.counts.errors)
        for name, one, other in differing
    )
    changes = tuple(measure.change(one, other) for _, one, other in differing)
    return Comparison(first.name, second.name, len(pairs), measure.difference(difference), changed, changes)


def machine() -> str:
    """Name the processor and the operating system on which times were measured."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"
