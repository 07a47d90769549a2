"""Choose the processor, feature extractor or tokenizer that a checkpoint folder asks for.

Each kind has one table, name to module; a new class is one entry there, and modules are imported when they are needed.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from edgespeech.choices import CONFIG
from edgespeech.errors import CheckpointError
from edgespeech.processing.feature_extractor import read_feature_extractor, require_feature_extractor
from edgespeech.processing.folder import (
    PROCESSOR_CONFIG,
    SENTENCE_PIECES,
    TOKENIZER_CONFIG,
    TOKENIZER_FILE,
    VOCABULARY,
    WORD_PIECES,
    locate,
    read_optional,
)

FEATURE_EXTRACTORS = {"Wav2Vec2FeatureExtractor": "edgespeech.processing.feature_extractor"}
TOKENIZERS = {
    "Wav2Vec2CTCTokenizer": "edgespeech.processing.tokenizers.ctc",
    "Wav2Vec2PhonemeCTCTokenizer": "edgespeech.processing.tokenizers.phonemes",
    "PreTrainedTokenizerFast": "edgespeech.processing.tokenizers.backend",
    "TokenizersBackend": "edgespeech.processing.tokenizers.backend",
    "BertTokenizer": "edgespeech.processing.tokenizers.text",
    "GPT2Tokenizer": "edgespeech.processing.tokenizers.text",
    "BartTokenizer": "edgespeech.processing.tokenizers.text",
    "RobertaTokenizer": "edgespeech.processing.tokenizers.text",
    "MBartTokenizer": "edgespeech.processing.tokenizers.mbart",
    "MBart50Tokenizer": "edgespeech.processing.tokenizers.mbart",
    "Speech2Text2Tokenizer": "edgespeech.processing.tokenizers.speech2text2",
}
PROCESSORS = {
    "Wav2Vec2Processor": "edgespeech.processing.processor",
    "Wav2Vec2ProcessorWithLM": "edgespeech.processing.processor_with_lm",
    "Speech2Text2Processor": "edgespeech.processing.processor",
}
CTC_TOKENIZERS = ("Wav2Vec2CTCTokenizer", "Wav2Vec2PhonemeCTCTokenizer")
SERIALIZED = "PreTrainedTokenizerFast"  # reads any tokenizer.json


class Parts(NamedTuple):
    """What models of one type use, where their files do not say it; None: no such part."""

    processor: str | None = None
    feature_extractor: str | None = None
    tokenizer: str | None = None


SPEECH = Parts("Wav2Vec2Processor", "Wav2Vec2FeatureExtractor", "Wav2Vec2CTCTokenizer")
MODEL_TYPES = {
    "wav2vec2": SPEECH,
    "hubert": SPEECH,
    "unispeech": SPEECH,
    "unispeech-sat": SPEECH,
    "wavlm": SPEECH,
    "data2vec-audio": SPEECH,
    "speech-encoder-decoder": Parts("Wav2Vec2Processor"),
    "bert": Parts(tokenizer="BertTokenizer"),
    "gpt2": Parts(tokenizer="GPT2Tokenizer"),
    "bart": Parts(tokenizer="BartTokenizer"),
    "mbart": Parts(tokenizer="MBartTokenizer"),
    "roberta": Parts(tokenizer="RobertaTokenizer"),
    "trocr": Parts(tokenizer="RobertaTokenizer"),
    "speech_to_text_2": Parts(tokenizer="Speech2Text2Tokenizer"),
}
# What scripts that converted encoder-decoders wrote in config.json as the tokenizer's class: the type of a model.
NAMED_BY_TYPE = {
    **{name: parts.tokenizer for name, parts in MODEL_TYPES.items() if parts.tokenizer is not None},
    "mbart50": "MBart50Tokenizer",
}


class AutoFeatureExtractor:
    """Loads a feature extractor of the class that a checkpoint names."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **overrides: Any) -> Any:
        """Load it from a folder or a hub id; `overrides` replace settings.

        Raises:
            MissingFileError: there is no such folder, or no feature extractor in it.
            CheckpointError: it names none, or one that edgespeech does not have.
        """
        folder = locate(checkpoint, overrides)
        require_feature_extractor(folder)
        return _load("feature extractor", FEATURE_EXTRACTORS, _feature_extractor(folder), folder, overrides)


class AutoTokenizer:
    """Loads a tokenizer of the class that a checkpoint names."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **overrides: Any) -> Any:
        """Load it from a folder or a hub id; `overrides` replace settings.

        Raises:
            MissingFileError: there is no such folder, or a file of the tokenizer is missing.
            CheckpointError: it names no tokenizer, or one that edgespeech does not have.
        """
        folder = locate(checkpoint, overrides)
        return _load("tokenizer", TOKENIZERS, _tokenizer(folder), folder, overrides)


class AutoProcessor:
    """Loads what a checkpoint has: a processor, or the feature extractor or tokenizer alone."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **overrides: Any) -> Any:
        """Load it from a folder or a hub id; `overrides` replace settings.

        Raises:
            MissingFileError: there is no such folder, or a file is missing.
            CheckpointError: it names no processor, or one that edgespeech does not have.
        """
        folder = locate(checkpoint, overrides)
        name = _processor(folder)
        if name is None:
            if _feature_extractor(folder) is not None:
                return AutoFeatureExtractor.from_pretrained(checkpoint, **overrides)
            if _tokenizer(folder) is not None:
                return AutoTokenizer.from_pretrained(checkpoint, **overrides)
        return _load("processor", PROCESSORS, name, folder, overrides)


def ctc_tokenizer(folder: Path, **overrides: Any) -> Any:
    """Load the tokenizer of a CTC checkpoint: that of phonemes where its files name it, otherwise that of characters.

    Errors as `AutoTokenizer.from_pretrained`.
    """
    name = _tokenizer(folder)
    return _load("tokenizer", TOKENIZERS, name if name in CTC_TOKENIZERS else CTC_TOKENIZERS[0], folder, overrides)


def _load(kind: str, table: Mapping[str, str], name: str | None, folder: Path, overrides: Mapping[str, Any]) -> Any:
    if name is None:
        raise CheckpointError(f"{folder} does not say which {kind} it has, in any of its JSON files")
    if name not in table:
        raise CheckpointError(f"{folder} has the {kind} {name!r}, expected one of {', '.join(table)}")
    kept = {option: value for option, value in overrides.items() if option != "subfolder"}
    return getattr(import_module(table[name]), name).from_pretrained(folder, **kept)


def _feature_extractor(folder: Path) -> str | None:
    settings = read_feature_extractor(folder)
    if settings is None:
        return None
    name: str | None = settings.get("feature_extractor_type")
    return name or _parts(folder, "encoder").feature_extractor


def _tokenizer(folder: Path) -> str | None:
    """Return the class that the files name, or else that of the model type; one only `tokenizer.json` can stand for."""
    config = read_optional(folder / CONFIG)
    inner = config.get("decoder")
    sources = [read_optional(folder / TOKENIZER_CONFIG), config, inner if isinstance(inner, dict) else {}]
    named = [source["tokenizer_class"] for source in sources if isinstance(source.get("tokenizer_class"), str)]
    name = named[0] if named else _parts(folder, "decoder").tokenizer
    name = NAMED_BY_TYPE.get(str(name), name)
    if name is not None and name not in TOKENIZERS:
        name = name.removesuffix("Fast")
    if name not in TOKENIZERS and (folder / TOKENIZER_FILE).is_file():
        return SERIALIZED
    return name


def _processor(folder: Path) -> str | None:
    sources = [read_optional(folder / PROCESSOR_CONFIG), read_feature_extractor(folder) or {}]
    sources += [read_optional(folder / file) for file in (TOKENIZER_CONFIG, CONFIG)]
    for source in sources:
        if isinstance(source.get("processor_class"), str):
            return str(source["processor_class"])
    files = (VOCABULARY, WORD_PIECES, SENTENCE_PIECES, TOKENIZER_FILE)
    has_both = _feature_extractor(folder) is not None and any((folder / file).is_file() for file in files)
    return _parts(folder).processor if has_both else None


def _parts(folder: Path, half: str = "") -> Parts:
    """Look up the model type; of a model with an encoder and a decoder, the type of that half."""
    config = read_optional(folder / CONFIG)
    inner = config.get(half)
    config = inner if isinstance(inner, dict) else config
    return MODEL_TYPES.get(str(config.get("model_type")), Parts())
