"""Where there is sound: the energy of bands of frequency against a noise floor that follows the recording.

Stationary noise (fans, hum, hiss) is learnt within seconds; music and clatter are sound. It needs no model.
"""

from collections import deque
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .activity import Frames, Waveform

STEP = 0.01  # seconds of a frame
GROUP = 5  # frames that are computed together, whatever the sizes of blocks: results are the same to the last bit
SMOOTHED = 5  # frames over which power is averaged
EDGES = (80.0, 400.0, 1000.0, 2500.0, 5000.0, 8000.0)  # Hz, of the bands
SILENT = -100.0  # dB of full scale, below the rounding noise of 16 bits
MEMORY = 6.0  # seconds whose quietest moments are the noise floor of a band
ABOVE_NOISE = 8.0  # dB over the floor, in any band; averages over noise stay within 5 dB of their minimum
BELOW_PEAK = 45.0  # dB under the loudest of the last seconds, which is less than the weakest sounds of a voice
PEAK_MEMORY = 15.0  # seconds

Levels = npt.NDArray[np.float64]


class EnergyActivity:
    """See `activity.Activity`. Sound is what is above the noise floor in one of the bands, and not far below the peak.

    The floor of a band is its least level within the last seconds. Before those have passed, all sound counts, so that
    a recording may begin in the middle of a word.
    """

    def __init__(self, rate: int) -> None:
        self.step = max(1, round(rate * STEP))
        self._size = 2 * self.step
        frequencies = np.fft.rfftfreq(self._size, 1 / rate)
        self._bands = [(frequencies >= low) & (frequencies < high) for low, high in pairwise(EDGES)]
        self._bands = [band for band in self._bands if band.any()] or [np.ones(len(frequencies), bool)]
        window = np.hanning(self._size + 1)[:-1]
        self._window, self._scale = window, 2 / (self._size * float(np.square(window).sum()))
        self._waiting = np.zeros(0, np.float32)
        self._powers = np.zeros((SMOOTHED - 1, len(self._bands)))
        groups = round(MEMORY / (STEP * GROUP))
        quiet = np.full(len(self._bands), SILENT)
        self._lows: deque[Levels] = deque([quiet] * groups, groups)
        self._peaks: deque[float] = deque(maxlen=round(PEAK_MEMORY / (STEP * GROUP)))

    def feed(self, samples: Waveform) -> Frames:
        """See `Activity.feed`."""
        self._waiting = np.concatenate((self._waiting, samples))
        size = self.step * GROUP
        found = []
        at = 0
        while len(self._waiting) - at >= size + self.step:
            found.append(self._group(self._waiting[at : at + size + self.step]))
            at += size
        self._waiting = self._waiting[at:].copy()
        return Frames.joined(found)

    def finish(self) -> Frames:
        """See `Activity.finish`."""
        count, size = -(-len(self._waiting) // self.step), self.step * GROUP
        found = self.feed(np.zeros(size + self.step, np.float32)) if count else Frames.joined([])
        return Frames(found.is_speech[:count], found.levels[:count])

    def _group(self, samples: Waveform) -> Frames:
        """The frames of a group, from its samples and a frame more."""
        frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), self._size)[:: self.step]
        spectra = np.square(np.abs(np.fft.rfft(frames * self._window))) * self._scale
        powers = np.stack([spectra[:, band].sum(axis=1) for band in self._bands], axis=1)
        powers = np.concatenate((self._powers, powers))
        self._powers = powers[GROUP:].copy()
        smooth = np.mean([powers[at : at + GROUP] for at in range(SMOOTHED)], axis=0)
        levels, whole = _decibel(smooth), _decibel(smooth.sum(axis=1))
        if whole.max() > SILENT:
            self._lows.append(levels.min(axis=0))
        self._peaks.append(float(whole.max()))
        is_above = (levels > np.min(self._lows, axis=0) + ABOVE_NOISE).any(axis=1)
        is_speech = is_above & (whole > max(self._peaks) - BELOW_PEAK) & (whole > SILENT)
        return Frames(is_speech, whole)


def _decibel(power: Levels) -> Levels:
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (SILENT / 10))))
