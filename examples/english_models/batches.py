"""Rows of one length from a corpus, with noise, filters and silences: what the stages of training see."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from corpus import RATE, Part, Utterance, parts
from numpy.typing import NDArray

Wave = NDArray[np.float32]


class Recordings:
    """Draws utterances from the parts of a corpus; `shares` are shares of the seconds drawn.

    Of each part, those are drawn that are `wanted`, which is asked with the part's name.
    """

    def __init__(
        self,
        folder: Path,
        shares: dict[str, float],
        seed: int,
        wanted: Callable[[str, Utterance], bool] = lambda name, utterance: True,
    ) -> None:
        available = dict(parts(folder))
        missing = [name for name in shares if name not in available]
        if missing:
            raise SystemExit(f"{folder} has no part {', '.join(missing)}; it has {', '.join(available)}")
        self.parts = {name: available[name] for name in shares}
        mean = {name: part.seconds / len(part.utterances) for name, part in self.parts.items()}
        chance = np.array([shares[name] / mean[name] for name in self.parts])
        self.rng, self._chance = np.random.default_rng(seed), chance / chance.sum()
        self._names, self._queues = list(self.parts), {name: list[Utterance]() for name in self.parts}
        self._wanted = {
            name: [each for each in part.utterances if wanted(name, each)] for name, part in self.parts.items()
        }

    def draw(self) -> tuple[str, Part, Utterance]:
        """The next utterance; each part's come in random order, all once before one comes again."""
        name = self._names[self.rng.choice(len(self._names), p=self._chance)]
        queue, part = self._queues[name], self.parts[name]
        if not queue:
            utterances = self._wanted[name]
            queue.extend(utterances[index] for index in self.rng.permutation(len(utterances)))
        return name, part, queue.pop()

    def crop(self, samples: int) -> Wave:
        """(samples,) of speech: one utterance's crop, or several with pauses between them; normalised as a whole."""
        pieces: list[Wave] = []
        total = 0
        while total < samples:
            _, part, utterance = self.draw()
            waveform = part.waveform(utterance) * np.float32(10 ** self.rng.normal(0, 0.1))
            if not pieces and len(waveform) > samples:
                start = self.rng.integers(len(waveform) - samples + 1)
                return waveform[start : start + samples]
            pause = np.zeros(self.rng.integers(RATE // 2), np.float32)
            pieces += [waveform, pause]
            total += len(waveform) + len(pause)
        return np.concatenate(pieces)[:samples]

    def batch(self, rows: int, seconds: float) -> torch.Tensor:
        """(rows, samples), with noise and filters."""
        samples = int(seconds * RATE)
        return torch.tensor(np.stack([disturbed(self.crop(samples), self.rng) for _ in range(rows)]))


def disturbed(waveform: Wave, rng: np.random.Generator) -> Wave:
    """A room's echo, white noise, a tilted spectrum, digital silence: each on some of the rows."""
    x = echoed(waveform, rng) if rng.random() < 0.35 else waveform
    if rng.random() < 0.3:
        x = x + rng.standard_normal(len(x), dtype=np.float32) * np.float32(10 ** rng.uniform(-3, -0.5))
    if rng.random() < 0.3:
        tilt = rng.uniform(-0.6, 0.6)
        x = np.concatenate([x[:1], x[1:] - tilt * x[:-1]]) / np.sqrt(1 + tilt**2 - 1.6 * tilt)
    if rng.random() < 0.15:
        x, cut = x.copy(), rng.integers(len(x))
        x[slice(0, cut) if rng.random() < 0.5 else slice(cut, None)] = 0
    return x.astype(np.float32)


def echoed(waveform: Wave, rng: np.random.Generator) -> Wave:
    """The waveform in a room: its echo is noise that decays by 60 dB in 0.1 to 0.7 s, 3 to 20 dB below it."""
    length = int(RATE * rng.uniform(0.1, 0.7))
    echo = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    echo *= 10 ** rng.uniform(-1, -0.15) / np.linalg.norm(echo)
    delay = int(RATE * rng.uniform(0.001, 0.01))
    size = len(waveform) + delay + length
    spectrum = np.fft.rfft(waveform, size) * np.fft.rfft(np.concatenate([np.zeros(delay), echo]), size)
    result: Wave = (waveform + np.fft.irfft(spectrum, size)[: len(waveform)]).astype(np.float32)
    return result
