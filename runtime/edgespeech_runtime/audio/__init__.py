"""From what a caller has (a file, an array of any common type) to what a model takes: float32 `[samples]` at its rate.

Plain WAVE files and arrays need numpy alone. Other formats need soundfile, another sampling rate needs soxr (the
extra `audio`); m4a, mp4, webm and their like need PyAV (the extra `media`).
"""

from .blocks import AudioBlocks
from .inputs import read_audio, to_waveforms
from .items import AudioInput, is_single
from .samples import AudioWarning

__all__ = ["AudioBlocks", "AudioInput", "AudioWarning", "is_single", "read_audio", "to_waveforms"]
