"""Build the language model of ctc-en: python examples/english_language_model/build.py TEXTS OUTPUT

TEXTS is a folder with `books.txt.gz`, sentences of books in the public domain in capital letters, one a line, and
`librispeech_train960_word_counts.tsv`, words of LibriSpeech's training transcripts with their counts. OUTPUT is the
folder that becomes `language_model` of a checkpoint.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from edgespeech.ngrams.build import BuildOptions, build
from edgespeech.ngrams.counting import read_blocks
from edgespeech.ngrams.files import convert
from edgespeech.ngrams.text import tables

OFTEN = 10  # times that a word comes in either text to be known
PRUNE = (0, 5, 8)  # bigrams that come up to 5 times and trigrams that come up to 8 times are left out
WEIGHTS = {"alpha": 0.5, "beta": 1.5, "unk_score_offset": -10.0, "score_boundary": True}


def main(texts: Path, output: Path) -> None:
    """Write the model and its weights."""
    books = texts / "books.txt.gz"
    options = BuildOptions(
        order=3, prune=PRUNE, allowed=known_words(books, texts / "librispeech_train960_word_counts.tsv")
    )
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        convert(tables(build(books, Path(folder), options)), output / "english.lm", quantize=True)
    (output / "attrs.json").write_text(json.dumps(WEIGHTS, indent=2) + "\n", encoding="utf-8")


def known_words(books: Path, counts: Path) -> frozenset[bytes]:
    """Words of the books that come often there, or in LibriSpeech's training transcripts."""
    in_books: Counter[bytes] = Counter()
    for block in read_blocks(books):
        in_books.update(block.split())
    rows = (line.split("\t") for line in counts.read_text(encoding="utf-8").splitlines())
    in_speech = {word.upper().encode(): int(count) for word, count in rows}
    return frozenset(word for word, count in in_books.items() if max(count, in_speech.get(word, 0)) >= OFTEN)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
