"""The text decoder that all families share."""

from edgespeech.decoder.attention import KeyValues
from edgespeech.decoder.configuration import Alias, Architecture, TextDecoderConfig
from edgespeech.decoder.decoder import Cache, Geometry, TextDecoder

__all__ = ["Alias", "Architecture", "Cache", "Geometry", "KeyValues", "TextDecoder", "TextDecoderConfig"]
