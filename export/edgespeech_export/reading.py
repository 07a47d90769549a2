"""Which kind of checkpoint a folder holds, and its source."""

from pathlib import Path

from edgespeech.checkpoint import read_json, resolve
from edgespeech.configuration import CONFIG
from edgespeech.models.encoder_decoder import SpeechEncoderDecoderModel
from edgespeech_export import ctc_source, encoder_decoder_source
from edgespeech_export.errors import ExportError
from edgespeech_export.source import Source


def read(checkpoint: Path, target_lang: str | None) -> Source:
    """Load a checkpoint as what its `model_type` says it is.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
        ExportError: a `target_lang` for a checkpoint without adapters of languages.
    """
    folder = resolve(checkpoint)
    if read_json(folder / CONFIG).get("model_type") != SpeechEncoderDecoderModel.config_class.model_type:
        return ctc_source.read(folder, target_lang)
    if target_lang is not None:
        raise ExportError("target_lang picks a CTC adapter; an encoder-decoder takes its language when it transcribes")
    return encoder_decoder_source.read(folder)
