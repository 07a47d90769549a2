"""Strings of digits: recordings one after the other, with pauses and noise.

A row knows at which frames which digit of the string is heard. All randomness comes from one generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from augment import Audio, Augmenter, normalise
from corpus import Clip, Corpus
from german import DIGITS
from noise import NOISES, tilted
from numpy.typing import NDArray
from synthesis import RATE

HOP = 320  # samples per frame of the encoder
IGNORED = -100  # the label of what no loss counts
SYNTHETIC = 0.15  # share of the rows
MIXED = 0.25  # share of the strings of recordings by several speakers
# Shortest and longest pause of a string, seconds; one of these is drawn for a row.
PAUSES = ((0.0, 0.05), (0.03, 0.25), (0.1, 0.5), (0.3, 0.9), (0.0, 0.9))


@dataclass(frozen=True)
class Row:
    """`audio` (samples,), what is said, and `places` (frames,): how many digits come before the one heard there.

    Between digits `places` is `IGNORED`.
    """

    audio: Audio
    words: tuple[str, ...]
    places: NDArray[np.int64]


@dataclass(frozen=True)
class Style:
    """How the clips of a row are put together; a `level` of None leaves each as loud as it is."""

    speed: float
    level: float | None
    pauses: tuple[float, float]


class StringMaker:
    """Makes rows from the clips of one split, "train" or "test"."""

    def __init__(self, corpus: Corpus, split: str, rng: np.random.Generator) -> None:
        self._corpus, self._rng, self._augment = corpus, rng, Augmenter(rng)
        sets = corpus.select(split)
        self._speakers = sorted({clip.speaker for clip in sets["fsdd"]})
        self._takes: dict[tuple[str, str], list[Clip]] = {}
        for clip in sets["fsdd"]:
            self._takes.setdefault((clip.speaker, clip.transcript), []).append(clip)
        self._synthetic = [clip for clip in sets["synthetic"] if clip.transcript in DIGITS]

    def augmented(self, seconds: float, most: int) -> Row:
        """A row of that length with up to `most` digits, changed in every way; for training."""
        rng, count = self._rng, int(self._rng.integers(1, most + 1))
        clips = self._synthesized(count) if rng.random() < SYNTHETIC else self.string(count)
        level = self._augment.level() if rng.random() < 0.6 else None
        style = Style(rng.uniform(0.87, 1.17), level, PAUSES[rng.integers(len(PAUSES))])
        row = self._joined(clips, int(seconds * RATE), style)
        audio = tilted(self._augment.row(row.audio), rng)
        if rng.random() < 0.5:
            audio = self.noisy(audio, rng.uniform(4, 35))
        return Row(normalise(audio), row.words, row.places)

    def plain(self, clips: Sequence[Clip]) -> Row:
        """These clips as they are, with pauses of 0.05 to 0.8 s between and around them; for measuring."""
        parts, pauses = list[Audio](), self._rng.uniform(0.05, 0.8, len(clips) + 1)
        for clip, pause in zip(clips, pauses[1:], strict=True):
            parts += [self._corpus.audio(clip), np.zeros(int(pause * RATE), np.float32)]
        audio = np.concatenate([np.zeros(int(pauses[0] * RATE), np.float32), *parts])
        return Row(audio, tuple(clip.transcript for clip in clips), np.zeros(0, np.int64))

    def string(self, count: int) -> list[Clip]:
        """Recordings of `count` digits, by one speaker or several."""
        mixed, one = self._rng.random() < MIXED, self._speaker()
        words = (DIGITS[self._rng.integers(len(DIGITS))] for _ in range(count))
        choices = (self._takes[self._speaker() if mixed else one, word] for word in words)
        return [takes[self._rng.integers(len(takes))] for takes in choices]

    def _synthesized(self, count: int) -> list[Clip]:
        """Synthetic digits by any voices."""
        return [self._synthetic[self._rng.integers(len(self._synthetic))] for _ in range(count)]

    def noisy(self, audio: Audio, ratio: float) -> Audio:
        """Add noise of a kind drawn at random, `ratio` dB below the audio."""
        noise = NOISES[self._rng.integers(len(NOISES))](len(audio), self._rng)
        level = np.sqrt(np.mean(audio**2)) * 10 ** (-ratio / 20) / (np.sqrt(np.mean(noise**2)) + 1e-9)
        return audio + noise * np.float32(level)

    def _joined(self, clips: Sequence[Clip], samples: int, style: Style) -> Row:
        """As many of `clips` as fit into `samples`, each after a pause."""
        row, words = np.zeros(samples, np.float32), list[str]()
        places = np.full(samples // HOP, IGNORED, np.int64)  # the encoder has one frame less, or as many
        start = int(self._rng.choice([0, self._rng.uniform(0, 0.4), self._rng.uniform(0, 1.0)]) * RATE)
        for clip in clips:
            audio = self._changed(clip, style)
            if start + len(audio) > samples:
                break
            row[start : start + len(audio)] = audio
            places[start // HOP : (start + len(audio)) // HOP] = len(words)
            words.append(clip.transcript)
            start += len(audio) + int(self._rng.uniform(*style.pauses) * RATE)
        return Row(row, tuple(words), places)

    def _changed(self, clip: Clip, style: Style) -> Audio:
        audio = self._corpus.audio(clip)
        if clip.set == "synthetic":
            audio = trimmed(audio)
        level = np.sqrt(np.mean(audio**2)) if style.level is None else style.level
        return self._augment.clip(audio, style.speed * self._rng.uniform(0.95, 1.05), float(level))

    def _speaker(self) -> str:
        return self._speakers[self._rng.integers(len(self._speakers))]


def trimmed(audio: Audio) -> Audio:
    """Without what is silent at the ends, as synthetic voices leave it."""
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max())
    return audio[loud[0] : loud[-1] + 1] if len(loud) else audio
