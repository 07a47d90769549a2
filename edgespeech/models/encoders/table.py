"""The speech encoders by the `model_type` of their configuration."""

from collections.abc import Mapping
from typing import Any

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.errors import UnknownModelError
from edgespeech.models.encoders.hubert import HubertModel
from edgespeech.models.encoders.unispeech import UniSpeechModel
from edgespeech.models.encoders.wav2vec2 import Wav2Vec2Model
from edgespeech.models.speech import SpeechModel

ENCODER_CLASSES: dict[str, type[SpeechModel]] = {
    kind.config_class.model_type: kind for kind in (Wav2Vec2Model, HubertModel, UniSpeechModel)
}


def encoder_class(model_type: Any) -> type[SpeechModel]:
    """Return the class of the encoder with that `model_type`.

    Raises:
        UnknownModelError: none of the encoders here; the message lists them.
    """
    return chosen(ENCODER_CLASSES, model_type, "encoder")


def encoder_configuration(values: Mapping[str, Any]) -> SpeechEncoderConfig:
    """Build an encoder's configuration from the content of a `config.json`; errors as `encoder_class`."""
    return encoder_class(values.get("model_type")).config_class.from_dict(values)  # type: ignore[return-value]


def chosen(table: Mapping[str, Any], model_type: Any, part: str) -> Any:
    """Return the entry of a table by `model_type`; `part` names what the table holds.

    Raises:
        UnknownModelError: no such entry; the message lists those there are.
    """
    if model_type not in table:
        raise UnknownModelError(f"{part} has model_type {model_type!r}; known are: {', '.join(sorted(table))}")
    return table[model_type]
