"""Read the recordings into parts of a corpus: `python prepare.py SPEECH OUT`.

SPEECH holds sets with a `train.tsv` (`path`, `transcript`, ...) and `LibriSpeech/train-clean-100` with
`pseudo_labels.tsv`. One utterance in twenty of the short sets is kept for scoring, as the part `<set>-held-out`.
"""

import argparse
import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from corpus import RATE, TABLE, write_part
from numpy.typing import NDArray

SETS = ("coffee", "dc_tts", "fsdd", "keywords", "ljspeech", "speechocean762")
HELD_OUT = {"fsdd": 20, "keywords": 20, "coffee": 20}  # one in so many
SCORE = -0.6  # mean log-probability below which a pseudo-label is left out

Item = tuple[str, NDArray[np.float32], str, str]


def load(path: Path) -> NDArray[np.float32]:
    """The recording as (samples,) at 16 kHz, mono."""
    waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = waveform.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE).astype(np.float32)


def rows(table: Path) -> Iterator[dict[str, str]]:
    """The rows of a tab-separated table."""
    with table.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file, **TABLE)


def sentence(letters: str) -> str:
    """A transcript in capitals as a sentence, where nobody knows its names."""
    text = re.sub(r"\bi\b", "I", letters.lower())
    return text[:1].upper() + text[1:] + "."


def recordings(folder: Path, held_out: bool) -> Iterator[Item]:
    """The utterances of a set with a `train.tsv`: those for training, or those that are held out."""
    every = HELD_OUT.get(folder.name, 0)
    for number, row in enumerate(rows(folder / "train.tsv")):
        if held_out == bool(every and number % every == 0):
            letters = row["transcript"]
            yield row["path"], load(folder / row["path"]), letters, sentence(letters)


def librispeech(folder: Path) -> Iterator[Item]:
    """The utterances whose pseudo-label is sure enough."""
    for row in rows(folder / "pseudo_labels.tsv"):
        if float(row["score"]) > SCORE and row["text"]:
            yield row["path"], load(folder / row["path"]), row["text"], row["cased"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    read = librispeech(options.speech / "LibriSpeech/train-clean-100")
    written = {"librispeech": write_part(options.out / "librispeech", read)}
    noise = ((path.name, load(path), "", "") for path in sorted((options.speech / "noise").glob("*.ogg")))
    written["noise"] = write_part(options.out / "noise", noise)
    for name in SETS:
        written[name] = write_part(options.out / name, recordings(options.speech / name, held_out=False))
        if name in HELD_OUT:
            held_out = recordings(options.speech / name, held_out=True)
            written[f"{name}-held-out"] = write_part(options.out / "held-out" / name, held_out)
    for name, part in written.items():
        print(f"{name}: {len(part.utterances)} utterances, {part.seconds / 3600:.2f} h")


if __name__ == "__main__":
    main()
