"""Light augmentation of waveforms: speed, gain, noise and a narrow band. Arrays are float32, (samples,)."""

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]


def normalise(audio: Audio) -> Audio:
    """Zero mean and unit variance, as `Wav2Vec2FeatureExtractor` with `do_normalize` does it."""
    return (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)


class Augmenter:
    """Draws each change from `rng`."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def speed(self) -> float:
        """How much faster to play a clip; half the clips stay as they are."""
        return float(self._rng.uniform(0.88, 1.13)) if self._rng.random() < 0.5 else 1.0

    def level(self) -> float:
        """Root mean square of the clips of a row."""
        return float(10 ** self._rng.uniform(-2, -0.8))

    def clip(self, audio: Audio, speed: float, level: float) -> Audio:
        """Change the speed (and so the pitch) and set the level, within 4 dB."""
        if speed != 1.0:
            points = np.arange(0, len(audio) - 1, speed)
            audio = np.interp(points, np.arange(len(audio)), audio).astype(np.float32)
        gain = level * 10 ** self._rng.uniform(-0.2, 0.2)
        return audio * np.float32(gain / (np.sqrt(np.mean(audio**2)) + 1e-5))

    def row(self, audio: Audio) -> Audio:
        """Sometimes cut everything above a random frequency, then sometimes add noise."""
        rng = self._rng
        if rng.random() < 0.08:
            spectrum = np.fft.rfft(audio)
            spectrum[int(len(spectrum) * rng.uniform(0.4, 0.8)) :] = 0
            audio = np.fft.irfft(spectrum, len(audio)).astype(np.float32)
        if rng.random() < 0.35:
            audio = audio + self._noise(len(audio), float(np.sqrt(np.mean(audio**2))))
        return audio

    def _noise(self, samples: int, signal: float) -> Audio:
        """White or (half the time) low-passed noise, 10 to 50 dB below `signal`."""
        noise = self._rng.standard_normal(samples, dtype=np.float32)
        if self._rng.random() < 0.5:
            noise = np.convolve(noise, np.ones(8, np.float32) / np.sqrt(8).astype(np.float32), "same")
        return noise * np.float32(signal * 10 ** self._rng.uniform(-2.5, -0.5))
