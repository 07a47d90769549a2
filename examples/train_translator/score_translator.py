"""Words right of a translator on strings of held-out recordings (greedy, one utterance at a time).

python score_translator.py CHECKPOINT DATA
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import torch
from augment import normalise
from corpus import Corpus
from german import make_tokenizer, translate
from strings import Row, StringMaker

from edgespeech import SpeechEncoderDecoderModel

LONGEST = 12  # digits
SEED = 1


@dataclass(frozen=True)
class Score:
    """Word accuracy in percent over `strings`: 100 less the word error rate, so that words too many count too."""

    name: str
    strings: int
    words: int
    accuracy: float
    perfect: int

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.accuracy:.2f} % of {self.words} words, {self.perfect} of {self.strings} strings right"
        )


def rows(corpus: Corpus, strings: int) -> Iterator[tuple[str, list[Row]]]:
    """Kinds of strings of held-out recordings; a longer list begins with the same strings."""
    for name, ratios in (("clean", None), ("noise 10 to 20 dB below", (10, 20)), ("noise 5 to 10 dB below", (5, 10))):
        rng = np.random.default_rng(SEED)
        maker, made = StringMaker(corpus, "test", rng), list[Row]()
        for _ in range(strings):
            row = maker.plain(maker.string(int(rng.integers(1, LONGEST + 1))))
            if ratios is not None:
                row = Row(maker.noisy(row.audio, rng.uniform(*ratios)), row.words, row.places)
            made.append(row)
        yield name, made
    clips = corpus.select("test")["synthetic"][:strings]
    yield "synthetic", [maker.plain([clip]) for clip in clips]


def translation(model: SpeechEncoderDecoderModel, row: Row) -> str:
    """What the model says of one row."""
    tokens = model.generate(torch.from_numpy(normalise(row.audio))[None])[0].tolist()
    return make_tokenizer().decode(tokens)


def evaluate(model: SpeechEncoderDecoderModel, corpus: Corpus, strings: int) -> Iterator[Score]:
    """Score each kind of strings."""
    for name, made in rows(corpus, strings):
        said = [translate(" ".join(row.words)) for row in made]
        found = [translation(model, row) for row in made]
        perfect = sum(one == other for one, other in zip(said, found, strict=True))
        words = sum(len(text.split()) for text in said)
        yield Score(name, len(made), words, 100 * (1 - jiwer.wer(said, found)), perfect)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("data", type=Path, help="folder that prepare_digits.py wrote")
    parser.add_argument("--strings", type=int, default=500, help="of each kind (%(default)s)")
    args = parser.parse_args()
    model = SpeechEncoderDecoderModel.from_pretrained(args.checkpoint).float().eval()
    for score in evaluate(model, Corpus(args.data), args.strings):
        print(score, flush=True)


if __name__ == "__main__":
    main()
