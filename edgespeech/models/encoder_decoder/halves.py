"""Encoder and decoder as they come together: from folders of their own, or as models that somebody made."""

import os
from collections.abc import Mapping
from typing import Any

from edgespeech.base.loading_options import LoadingOptions
from edgespeech.checkpoint import read_json
from edgespeech.configuration import CONFIG
from edgespeech.decoder import TextDecoder
from edgespeech.errors import ConfigError, UnknownModelError
from edgespeech.models.decoders.table import DECODER_CLASSES
from edgespeech.models.encoder_decoder.configuration import AS_DECODER
from edgespeech.models.encoders.table import ENCODER_CLASSES, chosen
from edgespeech.models.speech import SpeechModel

Path = str | os.PathLike[str]

OF_BOTH = ("decoder_start_token_id",)  # has the decoder's prefix, but is a field of the whole


def parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Part options into the encoder's, the decoder's (without their prefixes) and those of the whole."""
    table: dict[str, dict[str, Any]] = {"encoder": {}, "decoder": {}, "": {}}
    for name, value in options.items():
        half, _, rest = name.partition("_")
        if half in ("encoder", "decoder") and name not in OF_BOTH:
            table[half][rest] = value
        else:
            table[""][name] = value
    return table["encoder"], table["decoder"], table[""]


def load_encoder(checkpoint: Path | None, model: Any = None, **options: Any) -> Any:
    """Load the encoder of a checkpoint folder, whatever its head, or pass on a `model` that is there already.

    Raises:
        UnknownModelError: the checkpoint is none of a speech encoder.
        ConfigError: neither a folder nor a model; and as `PreTrainedModel.from_pretrained`.
    """
    return _loaded("encoder", ENCODER_CLASSES, checkpoint, model, options)


def load_decoder(checkpoint: Path | None, model: Any = None, **options: Any) -> Any:
    """Load the decoder of a checkpoint folder, with cross-attention, or pass on a `model` that is there already.

    Weights of the cross-attention that the checkpoint lacks are drawn and named in a warning. Errors as `load_encoder`.
    """
    if "config" not in options:
        options = AS_DECODER | options
    return _loaded("decoder", DECODER_CLASSES, checkpoint, model, options)


def _loaded(half: str, table: Mapping[str, Any], checkpoint: Path | None, model: Any, options: dict[str, Any]) -> Any:
    if model is not None:
        return model
    if checkpoint is None:
        raise ConfigError(f"give a checkpoint of the {half}, or the {half} itself as {half}_model")
    content = read_json(LoadingOptions.parted(options)[0].folder(checkpoint) / CONFIG)
    return chosen(table, content.get("model_type"), f"{half} {os.fspath(checkpoint)}").from_pretrained(
        checkpoint, **options
    )


def check_halves(encoder: Any, decoder: Any) -> None:
    """Check two models that are to be joined.

    Raises:
        UnknownModelError: an encoder or decoder that is none of those known here; the message lists them.
        ConfigError: the decoder has no cross-attention.
    """
    if not isinstance(encoder, SpeechModel):
        raise UnknownModelError(_unknown("encoder", encoder, ENCODER_CLASSES))
    if not isinstance(decoder, TextDecoder):
        raise UnknownModelError(_unknown("decoder", decoder, DECODER_CLASSES))
    if not decoder.architecture.cross:
        raise ConfigError(
            f"the decoder, a {type(decoder).__name__}, has no cross-attention to the encoder's states; "
            "build it with is_decoder=True and add_cross_attention=True"
        )


def _unknown(half: str, model: Any, table: Mapping[str, type]) -> str:
    expected = ", ".join(sorted(kind.__name__ for kind in table.values()))
    return f"a {type(model).__name__} cannot be the {half}; known are: {expected}"
