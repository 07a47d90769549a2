"""Sounds in which nobody speaks: silence, coloured noise, hum, clicks, simple music. Arrays are float32, (samples,)."""

import numpy as np
from corpus import RATE
from numpy.typing import NDArray

Wave = NDArray[np.float32]


def nonspeech(samples: int, rng: np.random.Generator) -> Wave:
    """One such sound."""
    makers = (silence, noise, noise, hum, clicks, music, music)
    return makers[rng.integers(len(makers))](samples, rng)


def silence(samples: int, rng: np.random.Generator) -> Wave:
    """Zeros, or the last bit of a converter."""
    if rng.random() < 0.5:
        return np.zeros(samples, np.float32)
    return rng.integers(-1, 2, samples).astype(np.float32) / 2**15


def noise(samples: int, rng: np.random.Generator) -> Wave:
    """Noise whose spectrum falls by 0 to 12 dB an octave, sometimes in a band, sometimes swelling."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum *= np.maximum(hertz, 30.0) ** -rng.uniform(0, 2)
    if rng.random() < 0.3:
        low = rng.uniform(50, 3000)
        spectrum[(hertz < low) | (hertz > low * rng.uniform(1.5, 4))] *= 0.03
    sound = np.fft.irfft(spectrum, samples)
    if rng.random() < 0.4:
        seconds = np.arange(samples) / RATE
        sound *= 1 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.1, 6) * seconds + rng.uniform(0, 6))
    return sound.astype(np.float32)


def hum(samples: int, rng: np.random.Generator) -> Wave:
    """A tone with harmonics, of the mains or of a machine, over a little noise."""
    seconds, base = np.arange(samples) / RATE, rng.choice([50.0, 60.0, rng.uniform(80, 2000)])
    sound = sum(
        rng.random() / order * np.sin(2 * np.pi * base * order * seconds + rng.uniform(0, 6))
        for order in range(1, rng.integers(2, 9))
    )
    return (sound + 10 ** rng.uniform(-3, -0.5) * rng.standard_normal(samples)).astype(np.float32)


def clicks(samples: int, rng: np.random.Generator) -> Wave:
    """Short decaying bursts, as of keys, doors and steps, over a little noise."""
    sound = 10 ** rng.uniform(-4, -1.5) * rng.standard_normal(samples)
    for _ in range(rng.integers(1, 2 + samples // (RATE // 4))):
        start, length = rng.integers(samples), rng.integers(20, RATE // 4)
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / rng.uniform(5, length / 2 + 5))
        end = min(samples, start + length)
        sound[start:end] += rng.uniform(0.1, 1) * burst[: end - start]
    return sound.astype(np.float32)


def music(samples: int, rng: np.random.Generator) -> Wave:
    """Chords and a melody of plucked or held notes, sometimes with drums."""
    beat = int(RATE * rng.uniform(0.15, 0.6))
    sound, root = np.zeros(samples + 4 * RATE), rng.uniform(35, 60)
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) if rng.random() < 0.6 else np.array([0, 2, 3, 5, 7, 8, 10])
    decay, overtones = rng.uniform(0.15, 3), rng.integers(1, 9)
    for number, start in enumerate(range(0, samples, beat)):
        degrees = rng.integers(0, 7, rng.integers(1, 4)) if number % 4 else np.array([0, 2, 4]) + rng.integers(0, 4)
        for degree in degrees:
            pitch = root + scale[degree % 7] + 12 * rng.integers(0, 3)
            length = int(beat * rng.choice([1, 2, 4]))
            sound[start : start + length] += note(440 * 2 ** ((pitch - 69) / 12), length, decay, overtones, rng)
        if number % 2 == 0 and decay < 1:
            drum = rng.standard_normal(2000) * np.exp(-np.arange(2000) / rng.uniform(100, 600))
            sound[start : start + 2000] += rng.uniform(0, 1.5) * drum
    return sound[:samples].astype(np.float32)


def note(hertz: float, length: int, decay: float, overtones: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """One note (length,) with overtones, an attack and a decay in seconds."""
    seconds = np.arange(length) / RATE
    envelope = (
        np.minimum(1, seconds / 0.01) * np.exp(-seconds / decay) * np.minimum(1, (length - np.arange(length)) / 400)
    )
    vibrato = rng.choice([0.0, 0.003]) * np.sin(2 * np.pi * 5.5 * seconds) / 5.5
    orders = [order for order in range(1, overtones + 1) if hertz * order < RATE / 2]
    tone = sum(np.sin(2 * np.pi * hertz * order * (seconds + vibrato)) / order for order in orders)
    return np.asarray(envelope * tone)
