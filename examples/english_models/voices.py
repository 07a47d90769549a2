"""Sentences of books, read by a voice of the package registry: one part of the corpus.

Run in an environment that has `numpy`, `soxr` and `hibari-tts`, or for the others what their modules name:

    python voices.py hibari SPEECH/text/books.txt.gz OUT --minutes 10
    python voices.py kokoro SPEECH/text/books.txt.gz OUT --minutes 10 --styles kokoro-js-1.2.1.tgz
"""

import argparse
import gzip
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soxr
from corpus import RATE, PartWriter
from flite_voices import flite
from kokoro_voices import kokoro
from single_voices import Speak, hibari, joe

SHORTEST, LONGEST = 0.5, 20.0  # seconds
WORDS = range(3, 27)
SHIFTED = 0.67  # share of sentences whose pitch and formants are shifted by resampling
SHIFTS = (0.80, 1.25)
SHIFTED_OF_MANY = 0.33  # the same for a family of many voices, which needs it less
SHIFTS_OF_MANY = (0.88, 1.14)

VOICES: dict[str, Callable[[], Speak]] = {"hibari": hibari, "joe": joe, "flite": flite}


def shifts(many: bool, rng: random.Random) -> float:
    """By what a sentence's rate is multiplied."""
    share, span = (SHIFTED_OF_MANY, SHIFTS_OF_MANY) if many else (SHIFTED, SHIFTS)
    return rng.uniform(*span) if rng.random() < share else 1.0


def sentences(book: Path, rng: random.Random) -> list[str]:
    """The sentences of fitting length, in random order."""
    with gzip.open(book, "rt", encoding="utf-8") as file:
        fitting = [line.strip() for line in file if len(line.split()) in WORDS]
    rng.shuffle(fitting)
    return fitting


def record(voice: str, speak: Speak, options: argparse.Namespace) -> float:
    """Synthesise until enough minutes went by or enough hours were spoken; the seconds of speech that were written."""
    rng = random.Random(options.seed)
    writer, end = PartWriter(options.out), time.monotonic() + 60 * options.minutes
    for number, line in enumerate(sentences(options.book, rng)):
        if time.monotonic() > end or writer.samples > options.hours * 3600 * RATE:
            break
        waveform, rate = speak(line.lower().capitalize() + ".", rng)
        shift = shifts(voice == "kokoro", rng)
        resampled = soxr.resample(np.asarray(waveform, np.float32), rate * shift, RATE)
        if SHORTEST * RATE < len(resampled) < LONGEST * RATE:
            writer.write(f"{voice}-{options.seed}-{number}", resampled, line)
    writer.close()
    return writer.samples / RATE


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("voice", choices=sorted([*VOICES, "kokoro"]))
    parser.add_argument("book", type=Path, help="text, gzip, a sentence a line")
    parser.add_argument("out", type=Path, help="part to write")
    parser.add_argument("--minutes", type=float, default=10, help="(%(default)s)")
    parser.add_argument("--hours", type=float, default=100, help="of speech (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--styles", type=Path, help="for kokoro: npm package kokoro-js, its tarball or folder")
    options = parser.parse_args()
    if options.voice == "kokoro" and options.styles is None:
        parser.error("kokoro needs --styles")
    speak = kokoro(options.styles) if options.voice == "kokoro" else VOICES[options.voice]()
    seconds = record(options.voice, speak, options)
    print(f"{options.out}: {seconds / 3600:.2f} h")


if __name__ == "__main__":
    main()
