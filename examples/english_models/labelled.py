"""Batches of utterances with what is said in them, disturbed as recordings are; some have nobody speaking in them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from batches import Recordings, Wave, disturbed
from corpus import RATE, Utterance, normalised
from nonspeech import nonspeech
from student import frames_of

NOISE = "noise"  # the part of recordings without speech
POOL = 96  # utterances that are sorted by length before batches are cut from them
SHORTEST = 0.25  # seconds
STRINGS = ("fsdd",)  # parts of short words, of which several in a row also make an utterance


@dataclass(frozen=True)
class Batch:
    """`waveform` (rows, samples), padded with zeros behind `samples` (rows,); what is said, and from which part."""

    waveform: torch.Tensor
    samples: list[int]
    texts: list[str]
    names: list[str]

    @property
    def frames(self) -> torch.Tensor:
        """Real frames of each row (rows,)."""
        return torch.tensor([frames_of(count) for count in self.samples])


class Labelled:
    """Endless batches of about `seconds` of audio, padding included. Utterances without `text_of` are passed over."""

    def __init__(
        self, folder: Path, shares: dict[str, float], text_of: Callable[[Utterance], str], seconds: float, seed: int
    ) -> None:
        self._text_of, self._seconds, self.rng = text_of, seconds, np.random.default_rng(seed)
        self._recordings = Recordings(folder, shares, seed, lambda name, one: name == NOISE or bool(text_of(one)))
        self._noise = Recordings(folder, {NOISE: 1.0}, seed)

    def __iter__(self) -> Iterator[Batch]:
        while True:
            pool = sorted((self._utterance() for _ in range(POOL)), key=lambda item: len(item[0]))
            batches, row = [], list[tuple[Wave, str, str]]()
            for item in pool:
                if row and (len(row) + 1) * len(item[0]) > self._seconds * RATE:
                    batches.append(row)
                    row = []
                row.append(item)
            batches.append(row)
            for index in self.rng.permutation(len(batches)):
                yield collate(batches[index])

    def _utterance(self) -> tuple[Wave, str, str]:
        """A waveform of unit variance, its text, its part."""
        rng = self.rng
        name, part, utterance = self._recordings.draw()
        if name == NOISE:
            length = int(RATE * rng.uniform(0.4, 12))
            sound = self._noise.crop(length) if rng.random() < 0.3 else nonspeech(length, rng)
            return normalised(sound), "", name
        text, waveform = self._text_of(utterance), part.waveform(utterance)
        if name in STRINGS and rng.random() < 0.5:
            waveform, text = self._string(waveform, text)
        return normalised(self._recorded(self._faster(waveform))), text, name

    def _string(self, waveform: Wave, text: str) -> tuple[Wave, str]:
        """Several words in a row, each after a pause."""
        pieces, words = [waveform], [text]
        for _ in range(self.rng.integers(1, 6)):
            name, part, utterance = self._recordings.draw()
            while name not in STRINGS:
                name, part, utterance = self._recordings.draw()
            pieces += [np.zeros(self.rng.integers(RATE // 2), np.float32), part.waveform(utterance)]
            words.append(self._text_of(utterance))
        joined = [words[0].rstrip("."), *(word.rstrip(".").lower() if "." in word else word for word in words[1:])]
        return np.concatenate(pieces), " ".join(joined) + ("." if text.endswith(".") else "")

    def _faster(self, waveform: Wave) -> Wave:
        """Half of the utterances are played up to 12 % faster or slower, and so higher or lower."""
        if self.rng.random() < 0.5:
            return waveform
        points = np.arange(0, len(waveform) - 1, self.rng.uniform(0.88, 1.12))
        return np.interp(points, np.arange(len(waveform)), waveform).astype(np.float32)

    def _recorded(self, waveform: Wave) -> Wave:
        """Pauses before and after, a room's noise, filters."""
        rng = self.rng
        if rng.random() < 0.6:
            waveform = np.pad(waveform, (rng.integers(RATE // 2), rng.integers(RATE)))
        missing = int(SHORTEST * RATE) - len(waveform)
        if missing > 0:
            waveform = np.pad(waveform, (0, missing))
        if rng.random() < 0.3:
            other = self._noise.crop(len(waveform)) if rng.random() < 0.6 else nonspeech(len(waveform), rng)
            waveform = waveform + normalised(other) * np.float32(10 ** rng.uniform(-1.8, -0.25))
        return disturbed(waveform, rng) if rng.random() < 0.7 else waveform


def collate(items: list[tuple[Wave, str, str]]) -> Batch:
    """Pad waveforms to the longest."""
    samples = [len(waveform) for waveform, _, _ in items]
    waveform = torch.zeros(len(items), max(samples))
    for row, (sound, _, _) in enumerate(items):
        waveform[row, : len(sound)] = torch.from_numpy(sound)
    return Batch(waveform, samples, [text for _, text, _ in items], [name for _, _, name in items])


def masked(x: torch.Tensor, rng: np.random.Generator, share: float, span: int = 10) -> torch.Tensor:
    """SpecAugment (https://arxiv.org/abs/1904.08779) on features (rows, frames, channels): spans of frames and of
    channels are set to zero."""
    keep = torch.ones_like(x[..., :1])
    for row in range(x.shape[0]):
        for _ in range(rng.poisson(share * x.shape[1] / span)):
            start = int(rng.integers(x.shape[1]))
            keep[row, start : start + int(rng.integers(1, 2 * span))] = 0
    channels = torch.ones(x.shape[0], 1, x.shape[2])
    for row in range(x.shape[0]):
        start = int(rng.integers(x.shape[2]))
        channels[row, :, start : start + int(rng.integers(0, x.shape[2] // 8))] = 0
    return x * keep * channels
