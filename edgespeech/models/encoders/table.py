"""The families of speech encoders by the `model_type` of their configuration, and the classes that they have.

To add a family: its module, and its name in `FAMILIES`.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeVar

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.errors import UnknownModelError
from edgespeech.models.encoders import data2vec, hubert, unispeech, unispeech_sat, wav2vec2, wavlm
from edgespeech.models.speech import SpeechModel

KindT = TypeVar("KindT", bound=PreTrainedModel)

FAMILIES: tuple[ModuleType, ...] = (wav2vec2, hubert, unispeech, unispeech_sat, wavlm, data2vec)


def classes(base: type[KindT]) -> dict[str, type[KindT]]:
    """Return the families' classes that derive from `base`, such as `SpeechForCTC`, by their `model_type`."""
    return {
        kind.config_class.model_type: kind
        for family in FAMILIES
        for kind in vars(family).values()
        if isinstance(kind, type) and issubclass(kind, base) and kind.__module__ == family.__name__
    }


ENCODER_CLASSES: dict[str, type[SpeechModel]] = classes(SpeechModel)


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
