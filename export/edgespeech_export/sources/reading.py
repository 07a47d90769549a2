"""Which kind of checkpoint a folder holds, and its source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from edgespeech_runtime.choices import Task

from edgespeech.checkpoint import read_json, resolve
from edgespeech.configuration import CONFIG
from edgespeech.errors import CheckpointError, UnknownModelError
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech.models.encoders.table import ENCODER_CLASSES
from edgespeech_export.errors import ExportError
from edgespeech_export.sources import ctc as ctc_source
from edgespeech_export.sources import encoder_decoder as encoder_decoder_source
from edgespeech_export.sources import heads as head_source
from edgespeech_export.sources.source import Source

# By what stands behind "For" in the name of a checkpoint's class.
HEADS: dict[str, Callable[[Path], Source]] = {
    "SequenceClassification": head_source.read_classifier,
    "AudioFrameClassification": head_source.read_frame_classifier,
    "XVector": head_source.read_xvector,
}
TASKS: dict[str, Task] = {
    "SequenceClassification": "audio-classification",
    "AudioFrameClassification": "audio-frame-classification",
    "XVector": "audio-xvector",
}
CTC = ("CTC", "MaskedLM")  # the second is what the class for CTC was called at first
BARE = ("", "PreTraining")  # an encoder, alone or with what its pre-training needed: exported for its hidden states
Layers = Literal["last", "all"] | tuple[int, ...]  # hidden states: see `SpeechFeatures`


def read(checkpoint: Path, target_lang: str | None, layers: Layers | None = None) -> Source:
    """Load a checkpoint as what its `model_type` and `architectures` say it is; without the latter it is a CTC model.

    With `layers` its encoder is taken, for hidden states as features, whatever stands on it. An encoder alone is taken
    so in any case: None are then those of its last layer.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family, or the head is none that can be exported.
        ConfigError: a layer that the encoder does not have.
        ExportError: a `target_lang` for a checkpoint without adapters of languages; layers of an encoder-decoder.
    """
    folder = resolve(checkpoint)
    config = _config(folder / CONFIG)
    if config.get("model_type") == SpeechEncoderDecoderModel.config_class.model_type:
        if target_lang is not None:
            raise ExportError(
                "target_lang picks a CTC adapter; an encoder-decoder takes its language when it transcribes"
            )
        if layers is not None:
            raise ExportError("layers are those of an encoder, alone or below a head; an encoder-decoder gives none")
        return encoder_decoder_source.read(folder)
    head = _head(folder / CONFIG, config.get("architectures")) if layers is None else ""
    if head in CTC:
        return ctc_source.read(folder, target_lang)
    if target_lang is not None:
        expected = "model for features" if head in BARE else f"model for {head}"
        raise ExportError(f"target_lang picks a CTC adapter; {folder.name} is exported as a {expected}, leave it out")
    if head in BARE:
        return head_source.read_features(folder, "last" if layers is None else layers)
    return HEADS[head](folder)


def task_of(checkpoint: Path, layers: Layers | None = None) -> Task:
    """Return what a checkpoint is exported for by its config.json alone. Raises CheckpointError as `read` does."""
    folder = resolve(checkpoint)
    config = _config(folder / CONFIG)
    if config.get("model_type") == SpeechEncoderDecoderModel.config_class.model_type:
        return "encoder-decoder"
    head = _head(folder / CONFIG, config.get("architectures")) if layers is None else ""
    return "feature-extraction" if head in BARE else TASKS.get(head, "ctc")


def _config(path: Path) -> dict[str, Any]:
    """Read a configuration. A family that is not known is named before anything is said of its head."""
    config: dict[str, Any] = read_json(path)
    families = (*sorted(ENCODER_CLASSES), SpeechEncoderDecoderModel.config_class.model_type)
    model_type = config.get("model_type")
    if model_type not in families:
        raise UnknownModelError(
            f"{path} is of the family {model_type!r}, which cannot be exported; {', '.join(families)} can"
        )
    return config


def _head(path: Path, architectures: Any) -> str:
    """What stands behind "For" in the name of the class that wrote a checkpoint; nothing for an encoder alone."""
    if architectures in (None, []):
        return CTC[0]
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise CheckpointError(f"{path}: architectures must be a list of names of classes, got {architectures!r}")
    _, _, head = architectures[0].partition("For")
    if head in (*CTC, *HEADS, *BARE):
        return head
    exportable = ", ".join(f"For{name}" for name in (CTC[0], *HEADS))
    raise UnknownModelError(
        f"{path} is of a {architectures[0]}; heads that can be exported are {exportable}; with layers any will do"
    )
