"""Endless training batches of rows of one length, short rows first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus import Corpus
from german import DIGITS, END, WAIT, encode, make_tokenizer, translate
from strings import IGNORED, Row, StringMaker
from tokenizers import Tokenizer
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import IterableDataset
from training import Clock
from translator import SLOT

# Most seconds per row -> share of the audio that has such rows, the most digits in one, and the progress from which on.
ROWS: dict[float, tuple[float, int, float]] = {
    1.6: (0.06, 2, 0.0),
    3.0: (0.16, 5, 0.0),
    5.0: (0.28, 8, 0.05),
    8.0: (0.28, 12, 0.1),
    12.0: (0.22, 16, 0.1),
}


@dataclass(frozen=True)
class Batch:
    """`audio` (rows, samples), normalised; `labels` tokens and `words` digits + 1 (rows, longest); `places` as in Row.

    Labels and words are padded with `IGNORED`.
    """

    audio: torch.Tensor
    labels: torch.Tensor
    words: torch.Tensor
    places: torch.Tensor


class Batches(IterableDataset[Batch]):
    """Batches of about `seconds` of audio each; `clock` says which lengths there are by now."""

    def __init__(self, folder: Path, seconds: float, seed: int, clock: Clock) -> None:
        self.folder, self.seconds, self.seed, self.clock = folder, seconds, seed, clock

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self.seed)
        maker, tokenizer = StringMaker(Corpus(self.folder), "train", rng), make_tokenizer()
        while True:
            self.clock.tick()
            lengths = [length for length, (_, _, begin) in ROWS.items() if self.clock.progress >= begin]
            shares = np.array([ROWS[length][0] for length in lengths])
            length = lengths[rng.choice(len(lengths), p=shares / shares.sum())]
            seconds = length * rng.uniform(0.6, 1.0)  # or the decoder would learn the few lengths there are
            rows = [maker.augmented(seconds, ROWS[length][1]) for _ in range(round(self.seconds / seconds))]
            yield collate(rows, tokenizer)


def collate(rows: Sequence[Row], tokenizer: Tokenizer) -> Batch:
    """Stack rows of one length."""
    audio = torch.from_numpy(np.stack([row.audio for row in rows]))
    labels = [torch.tensor(slots(row, tokenizer)) for row in rows]
    words = [torch.tensor([DIGITS.index(word) + 1 for word in row.words], dtype=torch.long) for row in rows]
    places = torch.from_numpy(np.stack([row.places for row in rows]))
    return Batch(audio, _padded(labels), _padded(words), places)


def slots(row: Row, tokenizer: Tokenizer) -> list[int]:
    """A token for each slot of `SLOT` frames: a word where its middle is, else `WAIT`; then `END`."""
    tokens, last = [WAIT] * (len(row.places) // SLOT + 1), -1
    for place, token in enumerate(encode(tokenizer, translate(" ".join(row.words)))):
        middle = int(np.flatnonzero(row.places == place).mean()) // SLOT
        last = max(middle, last + 1)  # the middles of two short words may be in one slot
        tokens[min(last, len(tokens) - 1)] = token
    return [*tokens, END]


def _padded(sequences: list[torch.Tensor]) -> torch.Tensor:
    return pad_sequence(sequences, batch_first=True, padding_value=IGNORED)
