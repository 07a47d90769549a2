"""The text decoder that all families share."""

from edgespeech.base.config import Alias
from edgespeech.decoder.attention import KeyValues
from edgespeech.decoder.configuration import Architecture, TextDecoderConfig
from edgespeech.decoder.decoder import Geometry, TextDecoder
from edgespeech.decoder.past import Cache, PastKeyValues

__all__ = [
    "Alias",
    "Architecture",
    "Cache",
    "Geometry",
    "KeyValues",
    "PastKeyValues",
    "TextDecoder",
    "TextDecoderConfig",
]
