"""The beam search of a checkpoint: its alphabet and its language model, in the files that pyctcdecode writes.

`alphabet.json` holds `labels` and `is_bpe`; the folder `language_model` holds `attrs.json`, `unigrams.txt` and one
n-gram file. The search itself is the runtime's.
"""

import json
import math
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.fusion import Fusion, FusionWeights
from edgespeech_runtime.ctc.hotwords import DEFAULT_WEIGHT, checked_hotwords
from edgespeech_runtime.ctc.hypotheses import Hypothesis
from edgespeech_runtime.ctc.language_model import NgramModel, open_language_model
from edgespeech_runtime.ctc.step import BeamOptions
from edgespeech_runtime.errors import EdgeSpeechRuntimeError

from edgespeech.checkpoint import read_json, staged
from edgespeech.errors import CheckpointError, MissingFileError, ProcessingError
from edgespeech.processing.ctc_alphabet import build_alphabet

ALPHABET = "alphabet.json"
FOLDER = "language_model"
ATTRIBUTES = "attrs.json"
UNIGRAMS = "unigrams.txt"
MODEL_SUFFIXES = (".arpa", ".bin", ".binary", ".gz", ".lm")
# Names of the weights here and in attrs.json.
NAMES = {
    "alpha": "alpha",
    "beta": "beta",
    "unknown_offset": "unk_score_offset",
    "score_boundary": "score_boundary",
}
_OPENED: "WeakValueDictionary[str, CtcDecoder]" = WeakValueDictionary()
_LOADED: "dict[str, CtcDecoder]" = {}  # those that a worker process has read for itself


@dataclass(frozen=True)
class SearchOptions:
    """How one call decodes: options of the search, words to prefer, and weights that replace the decoder's."""

    beams: BeamOptions = field(default_factory=BeamOptions)
    hotwords: tuple[tuple[str, float], ...] = ()
    weights: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(
        cls,
        hotwords: Iterable[str] | Mapping[str, float] | None,
        hotword_weight: float | None,
        beams: Mapping[str, Any],
        weights: Mapping[str, Any],
    ) -> "SearchOptions":
        """The options that were given; None stands for a default."""
        weight = DEFAULT_WEIGHT if hotword_weight is None else hotword_weight
        pairs = hotwords.items() if isinstance(hotwords, Mapping) else [(word, weight) for word in hotwords or ()]
        return cls(
            BeamOptions(**{name: value for name, value in beams.items() if value is not None}),
            tuple(pairs),
            tuple((name, value) for name, value in weights.items() if value is not None),
        )


class CtcDecoder:
    """An alphabet and a language model with its weights; decodes logits to hypotheses, best first.

    It can be used by several threads, and passed to processes: those read the folder that it came from.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        model: NgramModel | None = None,
        weights: FusionWeights | None = None,
        unigrams: Collection[str] | None = None,
        model_file: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        """`unigrams` None: the model's own vocabulary. Saving copies `model_file`; `folder` is what it came from."""
        self.alphabet, self.model, self.unigrams = alphabet, model, unigrams
        self.weights = FusionWeights() if weights is None else weights
        self.model_file, self.folder = model_file, folder
        self._fusions: dict[FusionWeights, Fusion] = {}
        self._key = uuid.uuid4().hex
        _OPENED[self._key] = self

    @classmethod
    def from_folder(cls, folder: Path, unigram_encoding: str = "utf-8") -> "CtcDecoder":
        """Read `alphabet.json` and, where there is one, the folder `language_model`.

        Raises:
            MissingFileError: a file is missing.
            CheckpointError: a file is not what it should be.
        """
        alphabet = _read_alphabet(folder / ALPHABET)
        models = folder / FOLDER
        if not models.is_dir():
            return cls(alphabet, folder=folder)
        file = _model_file(models)
        weights = _read_attributes(models / ATTRIBUTES)
        try:
            unigrams = (models / UNIGRAMS).read_text(encoding=unigram_encoding).split()
        except UnicodeDecodeError:
            raise CheckpointError(f"{models / UNIGRAMS} is not {unigram_encoding}; name its unigram_encoding") from None
        try:
            model = open_language_model(file)
        except EdgeSpeechRuntimeError as error:
            raise CheckpointError(str(error)) from None
        return cls(alphabet, model, weights, unigrams, file, folder)

    def save(self, folder: Path) -> list[str]:
        """Write the files that `from_folder` reads; return their paths.

        Raises:
            ProcessingError: the language model did not come from a file.
        """
        if self.model is not None and self.model_file is None:
            raise ProcessingError("the language model came from no file, so it cannot be saved; open it from one")
        with staged(folder) as stage:
            document = {"labels": list(self.alphabet.labels), "is_bpe": self.alphabet.is_bpe}
            (stage / ALPHABET).write_text(json.dumps(document), encoding="utf-8")
        written = [folder / ALPHABET]
        if self.model_file is not None:
            with staged(folder / FOLDER) as stage:
                attributes = {NAMES[name]: value for name, value in asdict(self.weights).items()}
                (stage / ATTRIBUTES).write_text(json.dumps(attributes), encoding="utf-8")
                words = self.unigrams if self.unigrams is not None else (self.model and self.model.words) or ()
                (stage / UNIGRAMS).write_text("".join(f"{word}\n" for word in sorted(words)), encoding="utf-8")
                shutil.copyfile(self.model_file, stage / self.model_file.name)
            written += [folder / FOLDER / name for name in (ATTRIBUTES, UNIGRAMS, self.model_file.name)]
        return [str(path) for path in written]

    def decode(self, logits: npt.ArrayLike, options: SearchOptions) -> list[Hypothesis]:
        """All hypotheses that are left for logits `[frames, labels]`; probabilities are taken as such.

        Raises ArgumentError for logits of another shape and for options that contradict each other or the alphabet.
        """
        values = np.asarray(logits)
        hotwords = checked_hotwords(dict(options.hotwords), self.alphabet)
        search = BeamSearch(self.alphabet, self._fusion(dict(options.weights)), hotwords, options.beams)
        is_probability = (
            values.size > 0 and values.min() >= 0 and math.isclose(values.sum(axis=-1).mean(), 1)
        )  # as pyctcdecode does, which does not look at the sign
        return search.finish(search.advance(search.start(), values, bool(is_probability)))

    def decode_all(self, logits: Sequence[Any], options: SearchOptions, pool: Any = None) -> list[list[Hypothesis]]:
        """The same for several utterances; `pool` is anything with a `map`: of processes or of threads."""
        if pool is None:
            return [self.decode(each, options) for each in logits]
        return list(pool.map(_Task(self, options), logits))

    def _fusion(self, changes: Mapping[str, Any]) -> Fusion | None:
        if self.model is None:
            return None
        weights = replace(self.weights, **changes)
        fusion = self._fusions.get(weights)
        if fusion is None:
            if len(self._fusions) >= 8:  # somebody goes through many weights: only the scores are forgotten
                self._fusions.clear()
            fusion = self._fusions[weights] = Fusion(self.model, weights, self.unigrams)
        return fusion

    def __reduce__(self) -> tuple[Any, ...]:
        if self.folder is None:
            whole = (self.alphabet, self.model, self.weights, self.unigrams, self.model_file)
            return _restore, (self._key, None, self.weights, whole)
        return _restore, (self._key, self.folder, self.weights, ())


def build_ctcdecoder(
    labels: Sequence[str],
    kenlm_model_path: str | os.PathLike[str] | None = None,
    unigrams: Collection[str] | None = None,
    alpha: float = 0.5,
    beta: float = 1.5,
    unk_score_offset: float = -10.0,
    lm_score_boundary: bool = True,
) -> CtcDecoder:
    """Make a decoder of a vocabulary, its tokens in the order of their ids, and of an n-gram file.

    `unigrams` are the words that count as known, None for those of the file. Names and defaults are pyctcdecode's.

    Raises:
        ProcessingError: the vocabulary cannot be an alphabet.
        LanguageModelError: the file is no language model.
    """
    weights = FusionWeights(alpha, beta, unk_score_offset, lm_score_boundary)
    alphabet = build_alphabet(labels)
    if kenlm_model_path is None:
        return CtcDecoder(alphabet, weights=weights)
    return CtcDecoder(alphabet, open_language_model(kenlm_model_path), weights, unigrams, Path(kenlm_model_path))


class _Task:
    """What a worker does with one utterance."""

    def __init__(self, decoder: CtcDecoder, options: SearchOptions) -> None:
        self._decoder, self._options = decoder, options

    def __call__(self, logits: Any) -> list[Hypothesis]:
        return self._decoder.decode(logits, self._options)


def _restore(key: str, folder: Path | None, weights: FusionWeights, whole: tuple[Any, ...]) -> CtcDecoder:
    """The decoder of this key: one that this process has, also by forking, or else read again."""
    loaded = _OPENED.get(key) or _LOADED.get(key)
    if loaded is None:
        loaded = CtcDecoder(*whole) if folder is None else CtcDecoder.from_folder(folder)
        _LOADED[key] = loaded
    loaded.weights = weights
    return loaded


def _read_alphabet(path: Path) -> Alphabet:
    document = read_json(path)
    labels, is_bpe = document.get("labels"), document.get("is_bpe")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels) or type(is_bpe) is not bool:
        raise CheckpointError(f"{path} must hold labels, a list of texts, and is_bpe; fetch the checkpoint again")
    try:
        return Alphabet(tuple(labels), is_bpe)
    except EdgeSpeechRuntimeError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _read_attributes(path: Path) -> FusionWeights:
    document = read_json(path)
    if set(document) != set(NAMES.values()):
        expected, found = ", ".join(NAMES.values()), ", ".join(document)
        raise CheckpointError(f"{path} must hold {expected}, got {found}; fetch the checkpoint again")
    try:
        return FusionWeights(**{name: document[stored] for name, stored in NAMES.items()})
    except EdgeSpeechRuntimeError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _model_file(folder: Path) -> Path:
    for name in (ATTRIBUTES, UNIGRAMS):
        if not (folder / name).is_file():
            raise MissingFileError(f"{name} is missing in {folder}; a language model needs it")
    others = [
        entry
        for entry in sorted(folder.iterdir())
        if entry.name not in (ATTRIBUTES, UNIGRAMS) and not entry.name.startswith((".", "__"))
    ]
    if len(others) != 1 or others[0].suffix not in MODEL_SUFFIXES:
        names = ", ".join(os.fspath(entry.name) for entry in others) or "none"
        raise CheckpointError(f"{folder} must hold one n-gram file, {' or '.join(MODEL_SUFFIXES[:3])}, got {names}")
    return others[0]
