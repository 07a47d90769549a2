"""From a float bundle, or a checkpoint, to an INT8 bundle that was proven: calibrate, choose, write, prove, judge.

What is decided is decided here, in `search` and in `judge`; how graphs are quantized is the business of the backends.
"""

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from edgespeech_export import ExportOptions, export
from edgespeech_export.folder import absolute, check_space, check_target, written_whole
from edgespeech_export.language_model import BundledModel
from edgespeech_export.sources.reading import Layers, task_of
from edgespeech_export.word_edges import Recordings
from edgespeech_runtime.bundle.folder import Bundle, open_bundle
from edgespeech_runtime.bundle.manifest import Audio
from edgespeech_runtime.choices import EngineName, Task

from edgespeech.checkpoint import resolve
from edgespeech_calib.errors import DataError, QuantizationError
from edgespeech_calib.evaluation.evaluation import Reading
from edgespeech_calib.evaluation.systems import bundle_facts
from edgespeech_calib.quantization import backends, calibration, timing
from edgespeech_calib.quantization.calibration import Calibration
from edgespeech_calib.quantization.judge.gate import Gate, JudgedUtterance, Speech
from edgespeech_calib.quantization.judge.predictions import EXCERPT_TOKENS
from edgespeech_calib.quantization.options import QuantizationOptions
from edgespeech_calib.quantization.report.report import Quantized
from edgespeech_calib.quantization.search import ranking
from edgespeech_calib.quantization.search.trials import TrialSearch
from edgespeech_calib.quantization.steps import Progress, StepClock, silent
from edgespeech_calib.quantization.targets import detect, types
from edgespeech_calib.scoring.measures import find_measure, measure_of
from edgespeech_calib.speech.sets import SpeechSet
from edgespeech_calib.speech.utterance import Skipped

# For the noise of each layer, which costs two products of every layer. Outlier channels and weights, which do the
# damage, are the same in all speech.
NOISE_UTTERANCES, NOISE_SECONDS = 3, 2.0
SPARE = 128 * 2**20  # bytes on disk beside graphs, for excerpts and logits


def export_int8(
    checkpoint: str | os.PathLike[str],
    bundle: str | os.PathLike[str],
    data: SpeechSet | None = None,
    options: QuantizationOptions = QuantizationOptions(),  # noqa: B008  # frozen
    *,
    engine: EngineName = "onnx",
    target_lang: str | None = None,
    layers: Layers | None = None,
    force: bool = False,
    language_model: BundledModel | Literal[False] | None = None,
    edges_from: Recordings | None = None,
    evaluation_data: SpeechSet | None = None,
    progress: Progress = silent,
) -> Quantized:
    """Export a checkpoint in float32, with the proof of every float export, and quantize that.

    Args:
        checkpoint: a checkpoint folder or hub id.
        bundle: the folder to write; it comes into being whole, or not at all.
        data: speech to calibrate on; it needs no transcripts. The engine "numpy", of whose bundles the weights alone
            are quantized, does without: then the golden input takes its place.
        options: how to quantize, and what it may cost.
        engine: which engine's files to write.
        target_lang: language of the adapter, for checkpoints with several.
        layers: hidden states to export in place of a head, see `ExportOptions`.
        force: replace the bundle if it is there.
        language_model, edges_from: see `ExportOptions`.
        evaluation_data: speech with transcripts, on which the increase of the word error rate is measured; for
            classifiers recordings with labels, for the drop of accuracy.
        progress: called with a step's name, how much of it is done, and of how much, None where that is not known.

    Raises:
        DataError: a set cannot be used as what it is for.
        QualityError: the result is worse than allowed, or does not run in integers.
        QuantizationError: the engine or the model does not allow what was asked.
        ExportError, CheckpointError, EngineError: see `edgespeech_export.export`.
    """
    target = absolute(bundle)
    folder = resolve(checkpoint, *([f"adapter.{target_lang}.*"] if target_lang else []))
    check_target(target, force, keep=folder)
    evaluated = _checked(data, evaluation_data, options, engine, task_of(folder, layers))
    clock = StepClock(progress)
    with written_whole(target, force) as partial, _scratch(target) as scratch:
        with clock.step("exporting in float"):
            float_options = ExportOptions(
                engine=engine,
                target_lang=target_lang,
                layers=layers,
                language_model=language_model,
                edges_from=edges_from,
            )
            export(folder, scratch / "float", float_options, progress=lambda step: clock.note(f"float32: {step}"))
        return _quantize(open_bundle(scratch / "float"), partial, scratch, data, evaluated, options, clock)


def quantize(
    float_bundle: str | os.PathLike[str],
    target: str | os.PathLike[str],
    data: SpeechSet | None = None,
    options: QuantizationOptions = QuantizationOptions(),  # noqa: B008  # frozen
    evaluation_data: SpeechSet | None = None,
    *,
    force: bool = False,
    progress: Progress = silent,
) -> Quantized:
    """Quantize a float32 bundle into the folder `target`; see `export_int8`.

    Raises:
        BundleError: the float bundle is damaged.
        DataError, QualityError, QuantizationError, ExportError, EngineError: see `export_int8`.
    """
    target_folder = absolute(target)
    floating = open_bundle(float_bundle)
    if floating.manifest.precision != "float32":
        raise QuantizationError(
            f"{floating.folder} is in {floating.manifest.precision}; INT8 is made of float32, export the checkpoint so"
        )
    if floating.manifest.static is not None:
        raise QuantizationError(f"{floating.folder} has fixed shapes; INT8 is made of free ones, or by `export_npu`")
    check_target(target_folder, force, keep=floating.folder)
    evaluated = _checked(data, evaluation_data, options, floating.manifest.engine, floating.manifest.task)
    check_space(target_folder, floating.manifest.bytes + SPARE)
    with written_whole(target_folder, force) as partial, _scratch(target_folder) as scratch:
        return _quantize(floating, partial, scratch, data, evaluated, options, StepClock(progress))


def _checked(
    data: SpeechSet | None,
    evaluation_data: SpeechSet | None,
    options: QuantizationOptions,
    engine: EngineName,
    task: Task,
) -> SpeechSet | None:
    """Refuse what cannot end well before any long work; return the labelled utterances."""
    evaluated = None
    if evaluation_data is not None:
        measure = find_measure(task)
        if measure is None:
            raise QuantizationError(
                f"a model for {task} gives no answers that could be right, so there is nothing to evaluate on "
                f"{evaluation_data.name}; leave it out, and the embeddings are compared with the float model's"
            )
        evaluated = measure.labelled(evaluation_data)
    backends.check(engine, options, data)
    if data is not None:
        calibration.require_sound(data, options.samples, options.seed)
    backends.require(engine)
    return evaluated


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A folder beside the bundle's place, on the same disk; nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.scratch-", dir=target.parent) as folder:
        yield Path(folder)


def _quantize(
    floating: Bundle,
    partial: Path,
    scratch: Path,
    data: SpeechSet | None,
    evaluated: SpeechSet | None,
    options: QuantizationOptions,
    clock: StepClock,
) -> Quantized:
    target = options.target or detect()
    number_types = types(target, floating.manifest.engine)
    encoder = backends.open_encoder(floating, options, number_types)
    decoder = backends.open_decoder(floating, options, number_types)
    drawn = _drawn(data, floating.manifest.audio, scratch / "excerpts", options, clock)
    with clock.step("calibrating") as count:
        encoder.calibrate(lambda: drawn.values(count), note=lambda text: clock.note(text))
    with clock.step("measuring the noise of each layer"):
        few = drawn.few(NOISE_UTTERANCES, NOISE_SECONDS)
        noise = encoder.noise(lambda: iter(few))
    labelled = None if evaluated is None else _Labelled(evaluated, floating)
    speech = _calibration_speech(drawn) if labelled is None else labelled.speech()
    (scratch / "predictions").mkdir()
    allowed = options.max_wer_increase if speech.labelled else options.max_changed_words
    gate = Gate(floating.folder, speech, scratch / "predictions", allowed)
    with clock.step("running the float model") as count:
        gate.prepare(count)
    float_reasons = ranking.unsafe(encoder.layers, noise) if options.revert else {}
    search = TrialSearch(floating, scratch, options, encoder, decoder, noise, float_reasons, gate, drawn, clock)
    trial = search.search()
    with clock.step("timing"):
        speed = timing.compare(floating.folder, trial.folder, drawn.excerpts[0].read())
    manifest = search.finish(trial, partial, target, number_types)
    return Quantized(
        manifest=manifest,
        judgement=trial.judgement,
        layers=search.layers(trial),
        trials=tuple(search.trials),
        float_bytes=floating.manifest.bytes,
        bytes=manifest.bytes,
        speed=speed,
        seconds=clock.seconds,
        skipped=drawn.skipped,
        resampled=drawn.resampled,
        evaluation_skipped=() if labelled is None else labelled.skipped,
        evaluation_resampled=None if labelled is None else labelled.resampled,
    )


def _drawn(
    data: SpeechSet | None, audio: Audio, folder: Path, options: QuantizationOptions, clock: StepClock
) -> Calibration:
    folder.mkdir()
    if data is None:
        return calibration.golden(audio, folder)
    with clock.step("reading calibration speech") as count:
        return calibration.draw(data, audio, folder, samples=options.samples, seed=options.seed, count=count)


def _calibration_speech(drawn: Calibration) -> Speech:
    def utterances() -> Iterator[JudgedUtterance]:
        for excerpt in drawn.excerpts:
            yield JudgedUtterance(excerpt.id, drawn.surrounded(excerpt))

    return Speech(drawn.name, len(drawn), False, utterances, EXCERPT_TOKENS)


class _Labelled:
    """Utterances of the labelled set, whole, read again for each pass; what could not be used in the last one."""

    def __init__(self, data: SpeechSet, floating: Bundle) -> None:
        manifest = floating.manifest
        self._facts, self._frames = bundle_facts(manifest), manifest.frames
        self._measure = measure_of("the model", manifest.task, problem_type=manifest.problem_type)
        self._data = self._measure.fitting(data, "the model", self._facts)
        self.skipped: tuple[Skipped, ...] = self._data.skipped
        self.resampled: Counter[int] = Counter()

    def speech(self) -> Speech:
        return Speech(self._data.name, len(self._data), True, self._utterances)

    def _utterances(self) -> Iterator[JudgedUtterance]:
        reading = Reading(self._data.utterances, self._facts.sampling_rate, self._facts.shortest)
        is_empty = True
        for batch in reading.batches(1):
            for utterance, waveform in batch:
                is_empty = False
                right = self._measure.truth(utterance, self._frames.count(len(waveform)), self._facts)
                yield JudgedUtterance(utterance.id, waveform, right)
        self.skipped, self.resampled = (*self._data.skipped, *reading.skipped), reading.resampled
        if is_empty:
            reason = reading.skipped[0].reason if reading.skipped else "it holds none"
            raise DataError(f"none of the {len(self._data)} recordings of {self._data.name} can be used: {reason}")
