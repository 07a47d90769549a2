"""Read the data set that `prepare.py` wrote and make training batches of rows of one length.

A row is one clip or several with pauses between them, cut to the length of its batch, so that hardly anything is
padding and no attention mask is needed. All randomness comes from one generator.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from augment import Augmenter, normalise
from numpy.typing import NDArray
from torch.utils.data import IterableDataset
from vocabulary import encode

RATE = 16000  # Hz
FIELDS = ("offset", "length", "set", "split", "speaker", "transcript")

# Seconds per row -> how often such a batch is made, and from which pools its rows come. 0: a batch of single digits
# as long as they are, without any silence added.
ROW_MIX: dict[float, tuple[float, dict[str, float]]] = {
    0.0: (0.08, {"fsdd": 1.0}),
    1.6: (0.06, {"fsdd": 0.4, "flite": 0.4, "espeak": 0.2}),
    3.2: (0.20, {"fsdd": 0.1, "keywords": 0.42, "speechocean762": 0.05, "flite": 0.28, "espeak": 0.15}),
    5.0: (0.40, {"fsdd": 0.05, "keywords": 0.08, "speechocean762": 0.05, "flite": 0.5, "espeak": 0.32}),
    8.0: (
        0.26,
        {"fsdd": 0.05, "keywords": 0.04, "speechocean762": 0.05, "ljspeech": 0.02, "flite": 0.5, "espeak": 0.34},
    ),
}
TIGHT_ROWS = 1.6  # single digits in a batch of row length 0, per second of audio in other batches


@dataclass(frozen=True)
class Clip:
    """One utterance: where it is in `audio.i16` (in samples) and what is said."""

    offset: int
    length: int
    set: str
    split: str
    speaker: str
    transcript: str


@dataclass(frozen=True)
class Batch:
    """`audio` (rows, samples), float32, normalised per row; `labels` (rows, longest), padded with -100."""

    audio: torch.Tensor
    labels: torch.Tensor


class Corpus:
    """The whole data set, memory-mapped."""

    def __init__(self, folder: Path) -> None:
        with (folder / "index.tsv").open(newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            self.clips = [Clip(**{**row, "offset": int(row["offset"]), "length": int(row["length"])}) for row in rows]
        self._audio = np.memmap(folder / "audio.i16", dtype=np.int16, mode="r")

    def audio(self, clip: Clip) -> NDArray[np.float32]:
        """The waveform of `clip`, (samples,), within -1..1."""
        return self._audio[clip.offset : clip.offset + clip.length].astype(np.float32) / 2**15

    def select(self, split: str) -> dict[str, list[Clip]]:
        """The clips of `split` by set."""
        found: dict[str, list[Clip]] = {}
        for clip in self.clips:
            if clip.split == split:
                found.setdefault(clip.set, []).append(clip)
        return found


class Pool:
    """Clips that may share a row, sorted by length so that one that fits is found at once."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = sorted(clips, key=lambda clip: clip.length)
        self._lengths = np.array([clip.length for clip in self.clips])

    def draw(self, room: int, fill: float, rng: np.random.Generator) -> Clip | None:
        """A clip between `fill * room` and `room` samples long, else a shorter one, else None."""
        high = int(np.searchsorted(self._lengths, room, side="right"))
        if high == 0:
            return None
        low = int(np.searchsorted(self._lengths, fill * room))
        return self.clips[rng.integers(low if low < high else 0, high)]

    def window(self, count: int, rng: np.random.Generator) -> list[Clip]:
        """`count` clips of about equal length."""
        start = rng.integers(0, max(1, len(self.clips) - count))
        return self.clips[start : start + count]


class Batches(IterableDataset[Batch]):
    """Endless training batches of about `seconds` of audio each; processes of other `rank` get other rows.

    All ranks make batches of the same row lengths at the same time, so that none waits for another.
    """

    def __init__(self, folder: Path, seconds: float, seed: int, rank: int = 0) -> None:
        self.folder, self.seconds, self.seed, self.rank = folder, seconds, seed, rank

    def __iter__(self) -> Iterator[Batch]:
        schedule = np.random.default_rng(self.seed)
        rows = RowMaker(Corpus(self.folder), np.random.default_rng((self.seed, self.rank)))
        lengths = list(ROW_MIX)
        # Shares are of audio: batches of all lengths but 0 hold the same amount of it.
        chances = np.array([ROW_MIX[length][0] for length in lengths])
        while True:
            length = lengths[schedule.choice(len(lengths), p=chances / chances.sum())]
            if length:
                samples, count = int(length * RATE), max(1, round(self.seconds / length))
                yield collate([rows.packed(samples, ROW_MIX[length][1]) for _ in range(count)])
            else:
                yield collate(rows.tight(max(1, round(self.seconds * TIGHT_ROWS))))


class RowMaker:
    """Makes rows: a waveform and its transcript."""

    def __init__(self, corpus: Corpus, rng: np.random.Generator) -> None:
        self._corpus, self._rng, self._augment = corpus, rng, Augmenter(rng)
        train = corpus.select("train")
        self._pools = {name: [Pool(clips)] for name, clips in train.items()}
        for engine in ("flite", "espeak"):
            self._pools[engine] = [Pool([clip for clip in train["synthetic"] if clip.speaker.startswith(engine)])]
        # Digits of one row come from one speaker, as in a spoken number.
        speakers = sorted({clip.speaker for clip in train["fsdd"]})
        self._all_digits = Pool(train["fsdd"])
        self._pools["fsdd"] = [Pool([clip for clip in train["fsdd"] if clip.speaker == name]) for name in speakers]

    def packed(self, samples: int, mix: dict[str, float]) -> tuple[NDArray[np.float32], str]:
        """A row of `samples` with as many clips as fit, from a pool drawn from `mix`."""
        rng, names = self._rng, list(mix)
        name = names[rng.choice(len(names), p=list(mix.values()))]
        pool = self._pools[name][rng.integers(len(self._pools[name]))]
        row, words = np.zeros(samples, np.float32), list[str]()
        level = self._augment.level()
        stop, fill = rng.choice([0.05, 0.4]), 0.0 if name == "fsdd" else 0.6
        position = self._pause()
        while position < samples:
            speed = self._augment.speed()
            clip = pool.draw(int((samples - position) * speed), fill, rng)
            if clip is None:
                break
            audio = self._augment.clip(self._corpus.audio(clip), speed, level)[: samples - position]
            row[position : position + len(audio)] = audio
            words.append(clip.transcript)
            position += len(audio) + self._pause()
            if rng.random() < stop:
                break
        return normalise(self._augment.row(row)), " ".join(words)

    def tight(self, count: int) -> list[tuple[NDArray[np.float32], str]]:
        """`count` single digits of about equal length, from all speakers, with no silence around them."""
        clips = self._all_digits.window(count, self._rng)
        speed = self._augment.speed()
        audios = [self._augment.clip(self._corpus.audio(clip), speed, 0.05) for clip in clips]
        samples = max(len(audio) for audio in audios)
        rows = [np.pad(audio, (0, samples - len(audio))) for audio in audios]
        return [(normalise(self._augment.row(row)), clip.transcript) for row, clip in zip(rows, clips, strict=True)]

    def _pause(self) -> int:
        """Samples of silence before a clip: none or up to 0.5 s."""
        return int(self._rng.choice([0.0, self._rng.uniform(0, 0.5)]) * RATE)


def collate(rows: list[tuple[NDArray[np.float32], str]]) -> Batch:
    """Stack rows of one length; rows that nothing fitted into have no labels."""
    labels = [torch.tensor(encode(text), dtype=torch.long) for _, text in rows]
    padded = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
    return Batch(torch.from_numpy(np.stack([audio for audio, _ in rows])), padded)
