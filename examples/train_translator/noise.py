"""Kinds of noise, and a random change of timbre. Arrays are float32, (samples,)."""

import numpy as np
from augment import Audio
from synthesis import RATE


def white(samples: int, rng: np.random.Generator) -> Audio:
    """The same power at all frequencies."""
    return rng.standard_normal(samples, dtype=np.float32)


def coloured(samples: int, rng: np.random.Generator) -> Audio:
    """Power that falls with frequency: pink, brown and all between."""
    spectrum = np.fft.rfft(white(samples, rng))
    frequencies = np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 20)
    return np.fft.irfft(spectrum * frequencies ** -rng.uniform(0.3, 1.0), samples).astype(np.float32)


def hum(samples: int, rng: np.random.Generator) -> Audio:
    """The mains, with overtones, and a little white noise."""
    base, time = rng.choice([50.0, 60.0, rng.uniform(80, 300)]), np.arange(samples) / RATE
    tones = sum(rng.uniform(0, 1) / k * np.sin(2 * np.pi * (k * base * time + rng.random())) for k in range(1, 7))
    return (tones + 0.05 * white(samples, rng)).astype(np.float32)


def unsteady(samples: int, rng: np.random.Generator) -> Audio:
    """Coloured noise that swells and fades."""
    points = rng.uniform(0, 1, samples // 4000 + 2)
    level = np.interp(np.arange(samples), np.arange(len(points)) * 4000, points)
    return (coloured(samples, rng) * level).astype(np.float32)


NOISES = (white, white, coloured, coloured, hum, unsteady)


def tilted(audio: Audio, rng: np.random.Generator) -> Audio:
    """Raise and lower bands by up to 8 dB, half the time."""
    if rng.random() < 0.5:
        return audio
    spectrum = np.fft.rfft(audio)
    gains = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, 9) ** 2, rng.uniform(-8, 8, 9))
    return np.fft.irfft(spectrum * 10 ** (gains / 20), len(audio)).astype(np.float32)
