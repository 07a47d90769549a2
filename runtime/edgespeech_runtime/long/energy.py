"""Where there is sound: the energy of bands of frequency against a noise floor that follows the recording.

Stationary noise (fans, hum, hiss) is learnt within seconds; music and clatter are sound. It needs no model.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .activity import Frames, Waveform

STEP = 0.01  # seconds of a frame
GROUP = 5  # frames that share a noise floor; also those over which power is averaged
AT_ONCE = 40  # groups that are computed together
EDGES = (80.0, 400.0, 1000.0, 2500.0, 5000.0, 8000.0)  # Hz, of the bands
SILENT = 1e-12  # power of full scale, -120 dB, that nothing is below
MEMORY = 6.0  # seconds whose quietest moments are the noise floor of a band
ABOVE_NOISE = 10**0.8  # 8 dB over the floor, in any band; averages over noise stay within 5 dB of their minimum
BELOW_PEAK = 10**-4.5  # 45 dB under the loudest of the last seconds: the weakest sounds of a voice are above
PEAK_MEMORY = 15.0  # seconds

Powers = npt.NDArray[np.float64]


class EnergyActivity:
    """See `activity.Activity`. Sound is what is above the noise floor in one of the bands, and not far below the peak.

    The floor of a band is its least power within the last seconds. Before those have passed, all sound counts, so that
    a recording may begin in the middle of a word. Digital silence says nothing about noise.

    Frames are on a fixed grid, and each is computed alone but for sums and minima in a fixed order, so that the sizes
    of blocks change no bit of the result.
    """

    def __init__(self, rate: int) -> None:
        self.step = max(1, round(rate * STEP))
        self._size = 2 * self.step
        frequencies = np.fft.rfftfreq(self._size, 1 / rate)
        bands = [np.flatnonzero((frequencies >= low) & (frequencies < high)) for low, high in pairwise(EDGES)]
        self._bands = [slice(band[0], band[-1] + 1) for band in bands if len(band)] or [slice(None)]
        window = np.hanning(self._size + 1)[:-1]
        self._window, self._scale = window, 2 / (self._size * float(np.square(window).sum()))
        self._waiting = np.zeros(0, np.float32)
        self._powers = np.zeros((GROUP - 1, len(self._bands)))
        self._lows = np.full((round(MEMORY / (STEP * GROUP)), len(self._bands)), SILENT)
        self._peaks = np.full(round(PEAK_MEMORY / (STEP * GROUP)), SILENT)

    def feed(self, samples: Waveform) -> Frames:
        """See `Activity.feed`."""
        self._waiting = np.concatenate((self._waiting, samples))
        size = self.step * GROUP
        groups = max(0, len(self._waiting) - self.step) // size
        frames = [
            self._groups(self._waiting[at * size : min(at + AT_ONCE, groups) * size + self.step])
            for at in range(0, groups, AT_ONCE)
        ]
        self._waiting = self._waiting[groups * size :].copy()
        return Frames.joined(frames)

    def finish(self) -> Frames:
        """See `Activity.finish`."""
        count, size = -(-len(self._waiting) // self.step), self.step * GROUP
        frames = self.feed(np.zeros(size + self.step, np.float32)) if count else Frames.joined([])
        return Frames(frames.is_speech[:count], frames.levels[:count])

    def _groups(self, samples: Waveform) -> Frames:
        """The frames of whole groups, from their samples and a frame more."""
        powers = np.concatenate((self._powers, self._band_powers(samples)))
        count = len(powers) - GROUP + 1
        self._powers = powers[count:].copy()
        smooth = powers[:count]
        for at in range(1, GROUP):
            smooth = smooth + powers[at : at + count]
        smooth = np.maximum(smooth / GROUP, SILENT)
        whole = smooth[:, 0].copy()
        for band in smooth.T[1:]:
            whole += band
        floors, peaks = self._floors(smooth), self._recent_peaks(whole)
        is_above = (smooth > np.repeat(floors, GROUP, axis=0) * ABOVE_NOISE).any(axis=1)
        is_speech = is_above & (whole > np.repeat(peaks, GROUP) * BELOW_PEAK)
        return Frames(is_speech, np.asarray(10 * np.log10(whole)))

    def _band_powers(self, samples: Waveform) -> Powers:
        """[frames, bands], mean squares of the samples."""
        frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), self._size)[:: self.step]
        spectra = np.fft.rfft(frames * self._window)
        squares = np.square(spectra.real) + np.square(spectra.imag)
        return np.stack([squares[:, band].sum(axis=1) for band in self._bands], axis=1) * self._scale

    def _floors(self, smooth: Powers) -> Powers:
        """The noise floor of each group, [groups, bands]: the least power of the last groups with any sound."""
        lows = smooth.reshape(-1, GROUP, smooth.shape[1]).min(axis=1)
        has_sound = (lows > SILENT).any(axis=1)
        memory = len(self._lows)
        all_lows = np.concatenate((self._lows, lows[has_sound]))
        self._lows = all_lows[-memory:].copy()
        windows = np.lib.stride_tricks.sliding_window_view(all_lows, memory, axis=0).min(axis=-1)
        return np.asarray(windows[np.cumsum(has_sound)])

    def _recent_peaks(self, whole: Powers) -> Powers:
        """The largest power of the last groups, for each group."""
        peaks = np.concatenate((self._peaks, whole.reshape(-1, GROUP).max(axis=1)))
        memory = len(self._peaks)
        self._peaks = peaks[-memory:].copy()
        return np.asarray(np.lib.stride_tricks.sliding_window_view(peaks, memory).max(axis=-1)[1:])
