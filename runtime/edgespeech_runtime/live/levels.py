"""How loud blocks of samples are, and whether a microphone gives sound at all."""

import numpy as np

from .intake import Waveform

SILENT = -100.0  # dB: the level of no sound at all


def level(samples: Waveform) -> float:
    """The level of floats in [-1, 1], `[samples]`, in dB: 0 is the loudest square wave, -100 the least that is told."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(SILENT, 10 * float(np.log10(max(power, 1e-12))))


class ZeroWatch:
    """Finds out that a microphone gives nothing but zeros from its first sample on, as one does without permission."""

    def __init__(self, seconds: float, rate: float) -> None:
        """So many seconds of zeros are too many."""
        self._left: int | None = round(seconds * rate)

    def is_dead(self, samples: Waveform) -> bool:
        """Take the next block; whether there were only zeros until now, and too many."""
        if self._left is None:
            return False
        if np.any(samples):
            self._left = None
            return False
        self._left -= len(samples)
        return self._left <= 0
