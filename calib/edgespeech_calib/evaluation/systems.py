"""What can be evaluated: a bundle by the runtime, a checkpoint folder by the reference model in torch.

Nothing is measured here; `worker` runs a system in a process of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from edgespeech_runtime import Prediction, load
from edgespeech_runtime.audio.batching import plan
from edgespeech_runtime.bundle.contracts import HEADS
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, Manifest
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.decoding import Decoding, SearchMaker
from edgespeech_runtime.errors import EngineError
from edgespeech_runtime.tasks import AnyModel
from edgespeech_runtime.tasks.ctc_text import Clock, searched_transcript

from edgespeech.choices import CONFIG
from edgespeech.fairseq_files import fairseq_files
from edgespeech_calib.errors import DataMissingError, EvaluationError
from edgespeech_calib.scoring.labelled_frames import Answer, LabelledFrames

if TYPE_CHECKING:
    from edgespeech_export.sources.source import Source

Waveform = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int64]
Kind = Literal["bundle", "checkpoint"]


SEARCH = ("beams", "language_model", "hotwords", "alpha", "beta")


@dataclass(frozen=True)
class Options:
    """How systems run.

    `language`, `num_beams` and `max_new_tokens` are for encoder-decoders alone; `beams`, `language_model`, `hotwords`,
    `alpha` and `beta` for CTC models, whose text they make a search write: see `CtcModel.transcribe`.
    """

    device: str = "cpu"
    threads: int | None = None  # None: the engine's own choice
    language: str | None = None
    num_beams: int | None = None
    max_new_tokens: int | None = None
    beams: int | None = None
    language_model: str | bool | None = None
    hotwords: dict[str, float] | None = None
    alpha: float | None = None
    beta: float | None = None

    @property
    def search(self) -> dict[str, Any]:
        """Those for the search over a CTC model's output that were given."""
        return {name: value for name in SEARCH if (value := getattr(self, name)) is not None}

    @property
    def greedy(self) -> "Options":
        """The same without a search."""
        return replace(self, beams=None, language_model=None, hotwords=None, alpha=None, beta=None)

    @property
    def search_name(self) -> str:
        """What a system that searches is called, behind its own name."""
        parts = [f"{Decoding(**self.search).width} beams"]
        if isinstance(self.language_model, str):
            parts.append(Path(self.language_model).name)
        parts += [f"{name} {value:g}" for name in ("alpha", "beta") if (value := getattr(self, name)) is not None]
        return ", ".join([*parts, *([f"{len(self.hotwords)} hotwords"] if self.hotwords else [])])

    @property
    def decoding(self) -> dict[str, Any]:
        """Those for the decoder that were given."""
        values = {name: getattr(self, name) for name in ("language", "num_beams", "max_new_tokens")}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Facts:
    """What a system is: `sampling_rate` in Hz, `shortest` in samples that it can take, `bytes` on disk.

    `bytes` are those of all files of a bundle, and of a checkpoint those of the weights that are read. `labels` are
    what a classifier tells apart, `problem_type` what its logits mean, `hop` the samples of a frame, `max_samples` the
    samples that it can take where that is limited.
    """

    kind: Kind
    task: str
    engine: str
    precision: str
    sampling_rate: int
    shortest: int
    bytes: int
    labels: tuple[str, ...] = ()
    problem_type: str | None = None
    hop: int = 0
    max_samples: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, of what classifiers alone have the labels, and those where there are any."""
        left_out = ("labels", "problem_type", "hop", "max_samples")
        plain = {name: value for name, value in asdict(self).items() if name not in left_out}
        return {**plain, **({"labels": list(self.labels)} if self.labels else {})}


class System(Protocol):
    """A loaded model."""

    facts: Facts

    def answer(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Answer]:
        """Return what the system makes of each waveform, float32 [samples] at its rate."""


def open_system(folder: Path, options: Options) -> System:
    """Load a bundle, or a checkpoint folder.

    Raises:
        DataMissingError: there is no such folder.
        EvaluationError: it is neither, or an option is not for its kind.
        EdgeSpeechRuntimeError, EdgeSpeechError: it cannot be loaded.
    """
    if fairseq_files(folder):
        from edgespeech.checkpoint import resolve

        return _open_checkpoint(resolve(folder), options)
    if not folder.is_dir():
        raise DataMissingError(f"{folder}: no such folder; give that of a bundle or of a checkpoint")
    if (folder / MANIFEST_FILE).exists():
        return _Bundle(folder, options)
    if not (folder / CONFIG).exists():
        raise EvaluationError(
            f"{folder} is neither a bundle nor a checkpoint: it has no {MANIFEST_FILE} and no {CONFIG}"
        )
    return _open_checkpoint(folder, options)


class _Bundle:
    def __init__(self, folder: Path, options: Options) -> None:
        self._model: AnyModel = load(folder, options.device, options.threads)
        self.facts = bundle_facts(self._model.manifest)
        self._options = {**options.decoding, **options.search}
        if self._model.manifest.decoder is None:
            refuse_decoding(folder, self.facts.task, options)
        refuse_search(folder, self.facts.task, options)
        self._model.check_options(**self._options)

    def answer(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Answer]:
        predictions = self._model.predict(list(waveforms), batch_size=batch_size, with_logits=False, **self._options)
        return [self._answer(prediction) for prediction in predictions]

    def _answer(self, prediction: Prediction) -> Answer:
        if prediction.answer is None:
            raise EvaluationError(f"a model for {self.facts.task} gives no answers that could be right")
        return LabelledFrames.answer(prediction.answer)


def bundle_facts(manifest: Manifest) -> Facts:
    """Return what a bundle is."""
    audio = manifest.audio
    return Facts(
        kind="bundle",
        task=manifest.task,
        engine=manifest.engine,
        precision=manifest.precision,
        sampling_rate=audio.sampling_rate,
        shortest=audio.shortest,
        bytes=manifest.bytes,
        labels=manifest.labels or (),
        problem_type=manifest.problem_type,
        hop=audio.hop,
        max_samples=_max_samples(manifest),
    )


def _max_samples(manifest: Manifest) -> int | None:
    """Samples that graphs of fixed shapes hold, where the model cannot go on in windows."""
    head = HEADS.get(manifest.task)
    has_windows = head is not None and "frames" in head.axes
    return None if manifest.static is None or has_windows else manifest.static.buckets[-1]


def refuse_decoding(folder: Path, task: str, options: Options) -> None:
    """Raise EvaluationError for options that a model without a decoder cannot honour."""
    if options.decoding:
        flag = next(iter(options.decoding)).replace("_", "-")
        kind = "a CTC model" if task == "ctc" else f"a model for {task}"
        raise EvaluationError(
            f"--{flag} is not for {folder}, which is {kind}: it has no decoder to search or to steer; leave it out"
        )


def refuse_search(folder: Path, task: str, options: Options) -> None:
    """Raise EvaluationError for options of a search over CTC output that another kind of model cannot honour."""
    if options.search and task != "ctc":
        flag = {"language_model": "lm", "hotwords": "hotword"}.get(name := next(iter(options.search)), name)
        raise EvaluationError(
            f"--{flag} is not for {folder}, which is a model for {task}: it is for CTC models; leave it out"
        )


def _open_checkpoint(folder: Path, options: Options) -> System:
    import torch
    from edgespeech_export.sources.reading import read

    if options.device != "cpu":
        raise EvaluationError(f"{folder} is a checkpoint, which is evaluated on the CPU; leave out --device")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    source = read(folder, None)
    refuse_search(folder, source.task, options)
    if source.task == "encoder-decoder":
        return _EncoderDecoderCheckpoint(source, options)
    refuse_decoding(folder, source.task, options)
    return _HeadCheckpoint(source, options)


def weights(folder: Path) -> int:
    """Size of a checkpoint's weight files in bytes, of those that are read."""
    from edgespeech.checkpoint import weight_files

    return sum(file.stat().st_size for file in weight_files(folder))


class _Checkpoint:
    """What checkpoints of all tasks share: padded batches and facts."""

    def __init__(self, source: "Source") -> None:
        audio = source.audio
        self._source: Any = source
        self.facts = Facts(
            kind="checkpoint",
            task=source.task,
            engine="torch",
            precision="float32",
            sampling_rate=audio.sampling_rate,
            shortest=audio.shortest,
            bytes=weights(source.folder),
            labels=tuple(source.facts.get("labels", ())),
            problem_type=source.facts.get("problem_type"),
            hop=audio.hop,
        )

    def answer(self, waveforms: Sequence[Waveform], batch_size: int) -> list[Answer]:
        from edgespeech_runtime.audio.waveform import normalize, pad

        answers: dict[int, Answer] = {}
        for indices in plan([len(waveform) for waveform in waveforms], batch_size):
            batch = [normalize(waveforms[i]) if self._source.audio.normalize else waveforms[i] for i in indices]
            answers.update(zip(indices, self._answers(*pad(batch)), strict=True))
        return [answers[i] for i in range(len(waveforms))]

    def _answers(self, values: Waveform, lengths: Lengths) -> Sequence[Answer]:
        raise NotImplementedError


class _HeadCheckpoint(_Checkpoint):
    """One with a head on its encoder, whose logits are read frame by frame or as a whole."""

    def __init__(self, source: "Source", options: Options) -> None:
        super().__init__(source)
        self._search: BeamSearch | None = None
        if options.search:
            self._search = SearchMaker(Alphabet.from_vocabulary(self._source.vocabulary)).search(
                Decoding(**options.search)
            )
        readers: dict[str, Callable[[Waveform], Answer]] = {
            "ctc": self._text,
            "audio-classification": lambda logits: self.facts.labels[int(logits.argmax())],
            "audio-frame-classification": lambda logits: LabelledFrames.of(logits > 0),  # a probability above 0.5
        }
        if source.task not in readers:
            raise EvaluationError(f"a model for {source.task} gives no answers that could be right")
        self._read = readers[source.task]

    def _answers(self, values: Waveform, lengths: Lengths) -> Sequence[Answer]:
        import torch

        padded = None if lengths.min() == lengths.max() else torch.from_numpy(lengths)
        with torch.inference_mode():
            logits = self._source.model.logits(torch.from_numpy(values), padded).numpy()
        if np.isnan(logits).any():  # or silence would be reported: NaN wins every argmax
            raise EngineError("the checkpoint computes NaN logits")
        if logits.ndim == 2:
            return [self._read(row) for row in logits]
        count = self._source.frames.count
        return [self._read(row[: count(int(length))]) for row, length in zip(logits, lengths, strict=True)]

    def _text(self, logits: Waveform) -> str:
        from edgespeech_runtime.ctc import greedy as ctc
        from edgespeech_runtime.tasks.ctc_text import spell

        vocabulary, search = self._source.vocabulary, self._search
        if search is not None:
            return searched_transcript(search.decode(logits, 1), search.alphabet, vocabulary, Clock(0.0, 0.0)).text
        return spell(ctc.collapse(ctc.greedy(logits), vocabulary.blank, skip=vocabulary.special), vocabulary)


class _EncoderDecoderCheckpoint(_Checkpoint):
    def __init__(self, source: "Source", options: Options) -> None:
        super().__init__(source)
        self._options = dict(options.decoding)
        if (language := self._options.pop("language", None)) is not None:
            self._options["forced_bos_token_id"] = self._source.detokenizer.language_id(language)

    def _answers(self, values: Waveform, lengths: Lengths) -> Sequence[Answer]:
        import torch

        mask = torch.arange(values.shape[1])[None] < torch.from_numpy(lengths)[:, None]
        rows: Any = self._source.model.generate(
            torch.from_numpy(values), mask.long(), **{"num_return_sequences": 1, **self._options}
        )
        return [self._source.detokenizer.decode(row[1:].tolist()).strip() for row in rows]
