"""Forced alignment: when each word of a given text is said. numpy alone; it knows no model and no engine."""

from .edges import Bias, loudness
from .forced import Alignment, Timed, align, forced_align

__all__ = ["Alignment", "Bias", "Timed", "align", "forced_align", "loudness"]
