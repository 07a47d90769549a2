"""What the synthetic voices say: sentences of books, digit strings, wake words and loose words."""

import gzip
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
WAKE_WORDS = ("ALEXA", "COMPUTER", "JARVIS", "SMART MIRROR", "SNOWBOY", "VIEW GLASS")
SENTENCE = re.compile(r"[A-Z]+('[A-Z]+)?( [A-Z]+('[A-Z]+)?){2,13}")  # 3 to 14 words
COMMON_WORDS = 20000  # loose words are drawn from this many of the most frequent ones


@dataclass(frozen=True)
class TextSources:
    """Sentences to say in training, sentences held out (no sentence is in both) and words by frequency."""

    train: list[str]
    test: list[str]
    words: list[str]


def read_sources(folder: Path, rng: random.Random, num_test: int) -> TextSources:
    """Read `books.txt.gz`, the dev-clean transcripts and the word counts from `folder`."""
    with gzip.open(folder / "books.txt.gz", "rt") as file:
        lines = [line.strip() for line in file]
    dev_clean = (folder / "librispeech_dev-clean.trans.txt").read_text().splitlines()
    lines += [line.partition(" ")[2].strip() for line in dev_clean]
    sentences = sorted({line for line in lines if SENTENCE.fullmatch(line) and len(line) <= 90})
    rng.shuffle(sentences)
    counts = (folder / "librispeech_train960_word_counts.tsv").read_text().upper().splitlines()
    ranked = (line.split("\t")[0] for line in counts)
    words = [word for word in ranked if re.fullmatch(r"[A-Z]+('[A-Z]+)?", word)][:COMMON_WORDS]
    return TextSources(sentences[num_test:], sentences[:num_test], words)


def training_texts(sources: TextSources, rng: random.Random) -> Iterator[str]:
    """Yield transcripts for ever: mostly sentences, one in eight loose words, some digits and wake words."""
    sentences = iter(sources.train)
    while True:
        draw = rng.random()
        if draw < 0.08:
            yield " ".join(rng.choices(DIGITS, k=rng.randint(1, 8)))
        elif draw < 0.11:
            yield " ".join(rng.choices(WAKE_WORDS, k=rng.randint(1, 3)))
        elif draw < 0.23:
            # Frequencies fall like 1 / rank: a uniform exponent of the rank draws rare words as well.
            ranks = [int(len(sources.words) ** rng.random()) - 1 for _ in range(rng.randint(2, 8))]
            yield " ".join(sources.words[rank] for rank in ranks)
        else:
            yield next(sentences)
