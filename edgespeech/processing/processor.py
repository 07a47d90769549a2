"""A feature extractor and a tokenizer as one: audio to `input_values`, text to `labels`, ids to text."""

import inspect
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgespeech.checkpoint import write_json
from edgespeech.errors import ProcessingError
from edgespeech.processing.auto import AutoFeatureExtractor, AutoTokenizer
from edgespeech.processing.batch import BatchFeature
from edgespeech.processing.feature_extractor import Wav2Vec2FeatureExtractor
from edgespeech.processing.folder import PROCESSOR_CONFIG
from edgespeech.processing.tokenizers.tokenizer import Tokenizer

logger = logging.getLogger(__name__)
ProcessorT = TypeVar("ProcessorT", bound="Wav2Vec2Processor")

# What each part's call understands. An option that both know goes to both.
OPTIONS = {
    "audio_kwargs": frozenset(inspect.signature(Wav2Vec2FeatureExtractor.__call__).parameters) - {"self", "raw_speech"},
    "text_kwargs": frozenset(inspect.signature(Tokenizer.__call__).parameters) - {"self", "text"},
}


class Wav2Vec2Processor:
    """A feature extractor for the audio and a tokenizer for the text of one model."""

    def __init__(self, feature_extractor: Any, tokenizer: Any) -> None:
        self.feature_extractor = feature_extractor
        self.tokenizer = tokenizer

    @property
    def model_input_names(self) -> list[str]:
        """Names of what a call can return for a model."""
        return [*self.feature_extractor.model_input_names, "labels"]

    def __call__(self, audio: Any = None, text: Any = None, **options: Any) -> BatchFeature:
        """Prepare audio, text, or both: then the ids of the text are `labels` beside the audio's `input_values`.

        Options are those of the feature extractor and of the tokenizer; one that both know (`padding`,
        `return_tensors`, ...) goes to both. `audio_kwargs` and `text_kwargs`, dictionaries, reach only one of them,
        `common_kwargs` both. `text_target` is text too. An option that neither knows is ignored with a log message.

        Raises:
            ProcessingError: neither audio nor text, an option given twice, or what the parts raise.
        """
        if audio is None and text is None and options.get("text_target") is None:
            raise ProcessingError("expected audio, text or both, got neither")
        merged = self._options(options)
        has_text = text is not None or merged["text_kwargs"].get("text_target") is not None
        encoded = self.tokenizer(text, **merged["text_kwargs"]) if has_text else BatchFeature()
        if audio is None:
            return BatchFeature(encoded)
        batch = self.feature_extractor(audio, **merged["audio_kwargs"])
        if has_text:
            batch["labels"] = encoded["input_ids"]
        return BatchFeature(batch)

    def _options(self, options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Sort the options by part: defaults of the tokenizer's settings first, then common, own and plain ones."""
        settings = self.tokenizer.init_kwargs
        merged: dict[str, dict[str, Any]] = {}
        for part, names in OPTIONS.items():
            own = options.get(part) or {}
            twice = sorted(own.keys() & options.keys() & names)
            if twice:
                raise ProcessingError(f"{twice[0]} was given twice, in {part} and beside it; give it once")
            defaults = {name: getattr(self.tokenizer, name, settings[name]) for name in names & settings.keys()}
            plain = {name: value for name, value in options.items() if name in names}
            merged[part] = {**defaults, **(options.get("common_kwargs") or {}), **plain, **own}
        unknown = options.keys() - OPTIONS.keys() - {"common_kwargs"} - frozenset().union(*OPTIONS.values())
        if unknown:
            logger.warning("ignored what neither feature extractor nor tokenizer knows: %s", ", ".join(sorted(unknown)))
        return merged

    def pad(self, input_features: Any = None, labels: Any = None, **options: Any) -> BatchFeature:
        """Pad prepared audio features, label ids, or both: then the ids are `labels` beside the audio's `input_values`.

        Options are those of the feature extractor's and the tokenizer's `pad` and go to both.

        Raises:
            ProcessingError: neither was given, or what the parts raise.
        """
        if input_features is None and labels is None:
            raise ProcessingError("expected input_features, labels or both to pad, got neither")
        ids = None if labels is None else self.tokenizer.pad(labels, **options)
        if input_features is None:
            return BatchFeature(ids)
        batch = self.feature_extractor.pad(input_features, **options)
        if ids is not None:
            batch["labels"] = ids["input_ids"]
        return BatchFeature(batch)

    def decode(self, *args: Any, **options: Any) -> Any:
        """Call the tokenizer's `decode`."""
        return self.tokenizer.decode(*args, **options)

    def batch_decode(self, *args: Any, **options: Any) -> Any:
        """Call the tokenizer's `batch_decode`."""
        return self.tokenizer.batch_decode(*args, **options)

    @classmethod
    def from_pretrained(cls: type[ProcessorT], checkpoint: str | os.PathLike[str], **overrides: Any) -> ProcessorT:
        """Load both parts from a checkpoint, a folder or a hub id; `overrides` go to both.

        Raises:
            MissingFileError: there is no such folder, or a file of a part is missing.
            CheckpointError: a file is not what it should be, or names a part that edgespeech does not have.
        """
        feature_extractor = AutoFeatureExtractor.from_pretrained(checkpoint, **overrides)
        return cls(feature_extractor, AutoTokenizer.from_pretrained(checkpoint, **overrides))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write both parts' files and `processor_config.json` into a folder, made if need be; return the paths.

        All versions of transformers from 4 on read them.
        """
        self.tokenizer.init_kwargs["processor_class"] = type(self).__name__
        written = [*self.feature_extractor.save_pretrained(folder), *self.tokenizer.save_pretrained(folder)]
        path = Path(folder) / PROCESSOR_CONFIG
        write_json(path, {"processor_class": type(self).__name__})
        return [*written, str(path)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.feature_extractor!r}, {self.tokenizer!r})"


class Speech2Text2Processor(Wav2Vec2Processor):
    """The same under the name that Speech2Text2 checkpoints have for it."""
