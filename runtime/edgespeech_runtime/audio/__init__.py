"""From what a caller has (a file, an array of any common type) to what a model takes: float32 `[samples]` at its rate.

Plain WAVE files and arrays need numpy alone. Other formats need soundfile, another sampling rate needs soxr (the
extra `audio`).
"""

from .inputs import AudioInput, read_audio, to_waveforms

__all__ = ["AudioInput", "read_audio", "to_waveforms"]
