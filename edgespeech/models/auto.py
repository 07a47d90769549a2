"""Pick the class by the checkpoint's `model_type`."""

import os
from collections.abc import Mapping
from typing import Any

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.checkpoint import read_json, resolve
from edgespeech.configuration import CONFIG
from edgespeech.errors import UnknownModelError
from edgespeech.models.encoders.table import classes
from edgespeech.models.heads.classification import SpeechForAudioFrameClassification, SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.pretraining import SpeechWithQuantizer
from edgespeech.models.heads.xvector import SpeechForXVector

CTC_CLASSES = classes(SpeechForCTC)
CLASSIFIER_CLASSES = classes(SpeechForSequenceClassification)
FRAME_CLASSIFIER_CLASSES = classes(SpeechForAudioFrameClassification)
XVECTOR_CLASSES = classes(SpeechForXVector)
PRE_TRAINING_CLASSES = classes(SpeechWithQuantizer)


class AutoModelForCTC:
    """Loads the CTC model that a checkpoint holds."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **options: Any) -> SpeechForCTC:
        """Load a checkpoint folder or hub id; `options` as for the family's class.

        Raises:
            UnknownModelError: a `model_type` without a CTC model here; the message lists those there are.
        """
        return _load(CTC_CLASSES, "CTC models", checkpoint, options)


class AutoModelForAudioClassification:
    """Loads the classifier of utterances that a checkpoint holds."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **options: Any) -> SpeechForSequenceClassification:
        """See `AutoModelForCTC.from_pretrained`."""
        return _load(CLASSIFIER_CLASSES, "classifiers of audio", checkpoint, options)


class AutoModelForAudioFrameClassification:
    """Loads the classifier of frames that a checkpoint holds."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **options: Any) -> SpeechForAudioFrameClassification:
        """See `AutoModelForCTC.from_pretrained`."""
        return _load(FRAME_CLASSIFIER_CLASSES, "classifiers of frames", checkpoint, options)


class AutoModelForAudioXVector:
    """Loads the x-vector model that a checkpoint holds."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **options: Any) -> SpeechForXVector:
        """See `AutoModelForCTC.from_pretrained`."""
        return _load(XVECTOR_CLASSES, "x-vector models", checkpoint, options)


class AutoModelForPreTraining:
    """Loads the model that a checkpoint of a pre-training holds."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **options: Any) -> SpeechWithQuantizer:
        """See `AutoModelForCTC.from_pretrained`."""
        return _load(PRE_TRAINING_CLASSES, "models for pre-training", checkpoint, options)


def _load(
    classes: Mapping[Any, type[PreTrainedModel]],
    what: str,
    checkpoint: str | os.PathLike[str],
    options: dict[str, Any],
) -> Any:
    folder = resolve(checkpoint)
    found = read_json(folder / CONFIG).get("model_type")
    if found not in classes:
        known = ", ".join(sorted(classes))
        raise UnknownModelError(f"{folder / CONFIG} has model_type {found!r}; {what} are known for: {known}")
    return classes[found].from_pretrained(checkpoint, **options)
