"""Running systems over a labelled set, one after the other, each in a process of its own, and counting their errors."""

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.errors import AudioError, AudioPackageError
from edgespeech_runtime.manifest import MANIFEST_FILE

from edgespeech_calib.bootstrap import interval, paired_difference
from edgespeech_calib.charts import LayerNoise
from edgespeech_calib.errors import DataError
from edgespeech_calib.normalisation import Normalisation, normalise
from edgespeech_calib.results import Changed, Comparison, Evaluation, Heard, SystemResult, rates
from edgespeech_calib.scoring import score
from edgespeech_calib.sets import SpeechSet
from edgespeech_calib.systems import Options
from edgespeech_calib.utterance import Skipped, Utterance
from edgespeech_calib.worker import Transcribed, Worker

AHEAD = 4  # batches that are read at a time, so that utterances of like lengths run together
Waveform = npt.NDArray[np.float32]
Batch = list[tuple[Utterance, Waveform]]
Progress = Callable[[str, int, int], object]  # system, utterances done, utterances in all


@dataclass
class Reading:
    """Utterances as a system takes them: what cannot be used is left out and named, other rates are resampled."""

    utterances: Sequence[Utterance]
    sampling_rate: int
    shortest: int  # samples
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
        if len(waveform) < self.shortest:
            reason = f"{len(waveform)} samples are too few; the model needs at least {self.shortest}"
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
    with each other one.

    Latencies are measured where utterances run alone, which is `batch_size` 1.

    Raises:
        DataError: the set has no transcripts, or none of its recordings can be used.
        ScoringError: nothing is said in the whole set.
        EvaluationError: a system cannot be loaded or run.
    """
    chosen = data.transcribed().sample(samples, seed)
    results = [_run(Path(system), chosen, options, seed, normalisation, batch_size, progress) for system in systems]
    comparisons = tuple(compared(results[0], other, seed) for other in results[1:])
    return Evaluation(
        data.name,
        normalisation,
        samples,
        seed,
        batch_size,
        options,
        machine(),
        tuple(results),
        comparisons,
    )


def _run(
    folder: Path,
    data: SpeechSet,
    options: Options,
    seed: int,
    normalisation: Normalisation,
    batch_size: int,
    progress: Progress,
) -> SystemResult:
    heard: list[tuple[Utterance, int, str, float | None]] = []
    seconds, memory = 0.0, None
    progress(str(folder), 0, len(data))
    with Worker(folder, options) as worker:
        facts = worker.facts
        reading = Reading(data.utterances, facts.sampling_rate, facts.shortest)
        for batch in reading.batches(1 if batch_size == 1 else batch_size * AHEAD):
            waveforms = [waveform for _, waveform in batch]
            if not heard:  # the first run pays for what is done once
                worker.transcribe(waveforms[:1], 1)
            found = worker.transcribe(waveforms, batch_size)
            heard += _timed(batch, found, batch_size)
            seconds += found.seconds
            memory = found.peak_memory
            progress(str(folder), len(heard) + len(reading.skipped), len(data))
        load_seconds = worker.load_seconds
    if not heard:
        reason = f"; the first: {reading.skipped[0].reason}" if reading.skipped else ""
        raise DataError(f"none of the {len(data)} recordings of {data.name} can be used{reason}")
    texts = [normalise(text, normalisation) for _, _, text, _ in heard]
    counted = score([normalise(utterance.text or "", normalisation) for utterance, *_ in heard], texts)
    word_errors, words, character_errors, characters = rates(counted.utterances)
    return SystemResult(
        name=str(folder),
        facts=facts,
        heard=tuple(
            Heard(utterance.id, samples / facts.sampling_rate, raw, part, latency)
            for (utterance, samples, raw, latency), part in zip(heard, counted.utterances, strict=True)
        ),
        score=counted,
        wer_interval=interval(word_errors, words, seed=seed),
        cer_interval=interval(character_errors, characters, seed=seed),
        seconds=seconds,
        load_seconds=load_seconds,
        peak_memory=memory,
        skipped=(*data.skipped, *reading.skipped),
        resampled=dict(reading.resampled),
        noise=layer_noise(folder),
    )


def layer_noise(folder: Path) -> tuple[LayerNoise, ...]:
    """Return what the manifest of an INT8 bundle says of its layers; () for any other folder."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        layers = manifest["report"]["quantization"]["layers"]
        return tuple(LayerNoise(part["name"], part["noise_db"], part["precision"] != "int8") for part in layers)
    except (OSError, ValueError, KeyError, TypeError):  # a report is free in its form
        return ()


def _timed(batch: Batch, found: Transcribed, batch_size: int) -> list[tuple[Utterance, int, str, float | None]]:
    latency = found.seconds if batch_size == 1 else None
    return [
        (utterance, len(waveform), text, latency)
        for (utterance, waveform), text in zip(batch, found.texts, strict=True)
    ]


def compared(first: SystemResult, second: SystemResult, seed: int = 0) -> Comparison:
    """Compare two systems on the utterances that both heard.

    Raises:
        DataError: there are none.
    """
    others = {heard.id: heard for heard in second.heard}
    pairs = [(heard, others[heard.id]) for heard in first.heard if heard.id in others]
    if not pairs:
        raise DataError(f"{first.name} and {second.name} could use no utterance both")
    difference = paired_difference(
        [a.score.counts.errors for a, _ in pairs],
        [b.score.counts.errors for _, b in pairs],
        [a.score.counts.total for a, _ in pairs],
        seed=seed,
    )
    changed = tuple(
        Changed(
            a.id,
            a.score.reference,
            a.score.hypothesis,
            b.score.hypothesis,
            a.score.counts.errors,
            b.score.counts.errors,
        )
        for a, b in pairs
        if a.score.hypothesis != b.score.hypothesis
    )
    return Comparison(first.name, second.name, len(pairs), difference, changed)


def machine() -> str:
    """Name the processor and the operating system on which times were measured."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"
