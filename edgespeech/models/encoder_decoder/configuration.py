"""The configuration of a speech encoder-decoder: two configurations and what concerns both."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from edgespeech.configuration import Config, SpeechEncoderConfig
from edgespeech.errors import ConfigError
from edgespeech.generation_config import NAMES
from edgespeech.models.decoders.table import DECODER_CLASSES
from edgespeech.models.encoders.table import ENCODER_CLASSES, chosen

ConfigT = TypeVar("ConfigT", bound="SpeechEncoderDecoderConfig")

AS_DECODER = {"is_decoder": True, "add_cross_attention": True}
DEFAULTS = {"encoder": "wav2vec2", "decoder": "bert"}
TABLES: dict[str, Mapping[str, Any]] = {"encoder": ENCODER_CLASSES, "decoder": DECODER_CLASSES}


@dataclass(kw_only=True)
class SpeechEncoderDecoderConfig(Config):
    """Configuration of a `SpeechEncoderDecoderModel`.

    `encoder` and `decoder` are configurations, or the content of their `config.json`, whose `model_type` picks the
    class. A decoder that does not say otherwise becomes one with cross-attention: `is_decoder` and
    `add_cross_attention` are set on the object given. The token ids are those of training: `decoder_start_token_id`
    begins the decoder's input, `pad_token_id` stands there for labels of -100.

    Raises:
        UnknownModelError: an encoder or decoder of a `model_type` that nothing here implements.
        ConfigError: a part that is no configuration.
    """

    model_type = "speech-encoder-decoder"

    encoder: SpeechEncoderConfig | None = None
    decoder: Config | None = None
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = False
    decoder_start_token_id: int | None = None
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None

    @classmethod
    def from_encoder_decoder_configs(
        cls: type[ConfigT], encoder_config: Config, decoder_config: Config, **options: Any
    ) -> ConfigT:
        """Join two configurations; the decoder becomes one with cross-attention.

        `options` are fields of this class, or say how to generate.

        The result holds copies, so that the given objects can change without it; the decoder's `is_decoder` and
        `add_cross_attention` are set on the given object too, as in the reference library.

        Raises:
            UnknownModelError: an encoder or decoder that nothing here implements.
            ConfigError: an option that is no field.
        """
        for name, config in (("encoder", encoder_config), ("decoder", decoder_config)):
            if not isinstance(config, Config):
                raise ConfigError(f"{name} must be a configuration, got {type(config).__name__}")
        for name, value in AS_DECODER.items():
            setattr(decoder_config, name, value)
        halves = {"encoder": encoder_config.to_dict(), "decoder": decoder_config.to_dict()}
        own = {entry.name for entry in fields(cls)}
        generation = {name: value for name, value in options.items() if name in NAMES and name not in own}
        options = {name: value for name, value in options.items() if name not in generation}
        return cls.from_dict(halves | generation, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a `config.json`, those of the parts nested in it."""
        parts = {name: getattr(self, name).to_dict() for name in TABLES}
        return super().to_dict() | parts

    def to_diff_dict(self) -> dict[str, Any]:
        """See `Config.to_diff_dict`; so are the parts."""
        return super().to_diff_dict() | {name: getattr(self, name).to_diff_dict() for name in TABLES}

    def _checked(self, name: str, value: Any) -> Any:
        return super()._checked(name, _part(name, value) if name in TABLES else value)


def _part(name: str, value: Any) -> Config:
    """Return an encoder's or decoder's configuration from what the caller gave: an object, a file's content or None."""
    if value is None:
        value = {"model_type": DEFAULTS[name]}
    if isinstance(value, Mapping):
        kind = chosen(TABLES[name], value.get("model_type"), name).config_class
        return kind.from_dict({**AS_DECODER, **value} if name == "decoder" else value)
    if not isinstance(value, Config):
        kind = "type" if isinstance(value, type) else type(value).__name__
        raise ConfigError(f"{name} must be a configuration or the content of one, got {kind}")
    chosen(TABLES[name], value.model_type, name)
    if name == "decoder":
        for option, wanted in AS_DECODER.items():
            setattr(value, option, wanted)
    return value
