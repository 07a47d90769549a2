"""Pick the class by the checkpoint's `model_type`."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from edgespeech.base.config import CONFIG, Config, read_config
from edgespeech.base.loading_options import LoadingOptions
from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.checkpoint import read_json
from edgespeech.errors import UnknownModelError
from edgespeech.models.decoders.table import DECODER_CLASSES
from edgespeech.models.encoder_decoder.model import SpeechEncoderDecoderModel
from edgespeech.models.encoders.table import ENCODER_CLASSES, classes
from edgespeech.models.heads.classification import SpeechForAudioFrameClassification, SpeechForSequenceClassification
from edgespeech.models.heads.ctc import SpeechForCTC
from edgespeech.models.heads.pretraining import SpeechWithQuantizer
from edgespeech.models.heads.xvector import SpeechForXVector

KindT = TypeVar("KindT", bound=PreTrainedModel)

CTC_CLASSES = classes(SpeechForCTC)
CLASSIFIER_CLASSES = classes(SpeechForSequenceClassification)
FRAME_CLASSIFIER_CLASSES = classes(SpeechForAudioFrameClassification)
XVECTOR_CLASSES = classes(SpeechForXVector)
PRE_TRAINING_CLASSES = classes(SpeechWithQuantizer)
WHOLE_CLASSES = {SpeechEncoderDecoderModel.config_class.model_type: SpeechEncoderDecoderModel}
CONFIGURATIONS: dict[str, type[Config]] = {
    name: kind.config_class
    for table in (ENCODER_CLASSES, DECODER_CLASSES, WHOLE_CLASSES)
    for name, kind in table.items()
}


class AutoClass(Generic[KindT]):
    """What picks a class has in common: the table, and what its classes are called together."""

    kinds: ClassVar[Mapping[str, type[Any]]]
    what: ClassVar[str]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> KindT:
        """Load a checkpoint folder or hub id; `options` as for the family's class.

        Raises:
            UnknownModelError: a `model_type` without such a model here; the message lists those there are.
        """
        config = options.get("config")
        if isinstance(config, Config):
            kind = cls._kind(config.model_type, "the configuration")
        else:
            path = LoadingOptions.parted(options)[0].folder(pretrained_model_name_or_path) / CONFIG
            kind = cls._kind(read_json(path).get("model_type"), os.fspath(path))
        loaded: KindT = kind.from_pretrained(pretrained_model_name_or_path, **options)
        return loaded

    @classmethod
    def from_config(cls, config: Config) -> KindT:
        """Return the model of a configuration, with fresh weights; errors as `from_pretrained`."""
        model: KindT = cls._kind(getattr(config, "model_type", None), "the configuration")(config)
        return model

    @classmethod
    def _kind(cls, model_type: Any, where: str) -> type[Any]:
        if model_type not in cls.kinds:
            model_types = ", ".join(sorted(cls.kinds))
            raise UnknownModelError(f"{where} has model_type {model_type!r}; {cls.what} are known for: {model_types}")
        return cls.kinds[model_type]


class AutoModelForCTC(AutoClass[SpeechForCTC]):
    """Loads the CTC model that a checkpoint holds."""

    kinds, what = CTC_CLASSES, "CTC models"


class AutoModelForAudioClassification(AutoClass[SpeechForSequenceClassification]):
    """Loads the classifier of utterances that a checkpoint holds."""

    kinds, what = CLASSIFIER_CLASSES, "classifiers of audio"


class AutoModelForAudioFrameClassification(AutoClass[SpeechForAudioFrameClassification]):
    """Loads the classifier of frames that a checkpoint holds."""

    kinds, what = FRAME_CLASSIFIER_CLASSES, "classifiers of frames"


class AutoModelForAudioXVector(AutoClass[SpeechForXVector]):
    """Loads the x-vector model that a checkpoint holds."""

    kinds, what = XVECTOR_CLASSES, "x-vector models"


class AutoModelForPreTraining(AutoClass[SpeechWithQuantizer]):
    """Loads the model that a checkpoint of a pre-training holds."""

    kinds, what = PRE_TRAINING_CLASSES, "models for pre-training"


class AutoModelForSpeechSeq2Seq(AutoClass[SpeechEncoderDecoderModel]):
    """Loads the speech encoder-decoder that a checkpoint holds."""

    kinds, what = WHOLE_CLASSES, "speech encoder-decoders"


class AutoModel(AutoClass[PreTrainedModel]):
    """Loads the encoder of a checkpoint, whatever its head, or a whole encoder-decoder."""

    kinds, what = {**ENCODER_CLASSES, **WHOLE_CLASSES}, "models"


class AutoConfig:
    """Reads the configuration of a checkpoint, or makes one by its `model_type`."""

    @staticmethod
    def from_pretrained(pretrained_model_name_or_path: str | os.PathLike[str], **options: Any) -> Any:
        """Read `config.json` of a folder or hub id, or a JSON file; `options` as for `Config.from_pretrained`.

        Raises:
            UnknownModelError: a `model_type` that nothing here implements; the message lists those there are.
        """
        values, _ = read_config(pretrained_model_name_or_path, options)
        kind = _configuration(values.get("model_type"), os.fspath(pretrained_model_name_or_path))
        return kind.from_pretrained(pretrained_model_name_or_path, **options)

    @staticmethod
    def for_model(model_type: str, **fields: Any) -> Any:
        """Return the configuration of a family with its defaults and `fields`; errors as `from_pretrained`."""
        return _configuration(model_type, "for_model")(**fields)


def _configuration(model_type: Any, where: str) -> type[Config]:
    if model_type not in CONFIGURATIONS:
        model_types = ", ".join(sorted(CONFIGURATIONS))
        raise UnknownModelError(f"{where} has model_type {model_type!r}; configurations are known for: {model_types}")
    return CONFIGURATIONS[model_type]
