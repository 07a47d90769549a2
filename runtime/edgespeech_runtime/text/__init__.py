"""Ids to text on the device: the detokenizer of a bundle, whole sequences or as a stream."""

from .clean_up import clean_up
from .detokenizer import DETOKENIZER_FILE, Detokenizer, Step
from .stream import TextStream

__all__ = ["DETOKENIZER_FILE", "Detokenizer", "Step", "TextStream", "clean_up"]
