"""Build the data set of the small English CTC model: synthetic speech and real corpora in one file.

    python prepare.py SPEECH OUT

SPEECH holds the folders text, fsdd, keywords, speechocean762, ljspeech and LibriSpeech. OUT receives `audio.i16`
(all waveforms end to end, int16 at 16 kHz) and `index.tsv` (one line per utterance: see `data.Clip`).
"""

import argparse
import csv
import itertools
import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
from data import FIELDS
from numpy.typing import NDArray
from synthesis import RATE, Utterance, draw_utterance, read_audio, synthesize
from texts import read_sources, training_texts

Split = Literal["train", "test"]
Item = tuple[str, Split, str, str, NDArray[np.int16]]  # set, split, speaker, transcript, waveform


def bucket(name: str, buckets: int) -> int:
    """A number in [0, buckets) that depends on the name alone."""
    return zlib.crc32(name.encode()) % buckets


def held_out_fsdd(row: dict[str, str]) -> bool:
    """Every tenth take of each digit by each speaker: `7_george_17.flac`."""
    return int(Path(row["path"]).stem.rsplit("_", 1)[1]) % 10 == 7


def held_out_keywords(row: dict[str, str]) -> bool:
    """A tenth of the files."""
    return bucket(row["path"], 10) == 0


def held_out_speechocean(row: dict[str, str]) -> bool:
    """All utterances of about one speaker in twenty."""
    return bucket(row["speaker"], 20) == 0


def held_out_never(row: dict[str, str]) -> bool:
    """No utterance: too few to hold any out."""
    return False


REAL: dict[str, Callable[[dict[str, str]], bool]] = {
    "fsdd": held_out_fsdd,
    "keywords": held_out_keywords,
    "speechocean762": held_out_speechocean,
    "ljspeech": held_out_never,
}


def real_items(speech: Path, names: Iterable[str] = tuple(REAL)) -> Iterator[Item]:
    """The corpora that come with a `train.tsv`."""
    for name in names:
        held_out = REAL[name]
        with (speech / name / "train.tsv").open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                audio = read_audio(speech / name / row["path"])
                yield name, "test" if held_out(row) else "train", row["speaker"], row["transcript"].upper(), audio


def librispeech_items(speech: Path) -> Iterator[Item]:
    """dev-clean and test-other, for measuring only."""
    for name in ("dev-clean", "test-other"):
        for transcripts in sorted((speech / "LibriSpeech" / name).rglob("*.trans.txt")):
            for line in transcripts.read_text().splitlines():
                key, _, text = line.partition(" ")
                path = transcripts.with_name(f"{key}.flac")
                if path.exists():
                    yield name, "test", key.split("-")[0], text, read_audio(path)


def synthetic_items(utterances: list[Utterance], split: Split, jobs: int) -> Iterator[Item]:
    """Synthesize `utterances`; the programs run as processes of their own, so threads are enough here."""
    with ThreadPoolExecutor(jobs) as pool:
        for utterance, audio in zip(utterances, pool.map(synthesize, utterances), strict=True):
            if len(audio) > RATE // 4:
                yield "synthetic", split, utterance.voice, utterance.transcript, audio


def write(items: Iterator[Item], out: Path) -> None:
    """Append the waveforms to `audio.i16` and a line each to `index.tsv`."""
    start, offset = time.monotonic(), 0
    with (out / "audio.i16").open("wb") as audio_file, (out / "index.tsv").open("w", newline="") as index_file:
        writer = csv.writer(index_file, delimiter="\t")
        writer.writerow(FIELDS)
        for count, (name, split, speaker, transcript, audio) in enumerate(items, 1):
            audio_file.write(audio.tobytes())
            writer.writerow((offset, len(audio), name, split, speaker, transcript))
            offset += len(audio)
            if count % 1000 == 0:
                print(f"{count} utterances, {offset / RATE / 3600:.2f} h, {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder of the corpora")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--utterances", type=int, default=30000, help="synthetic training utterances (%(default)s)")
    parser.add_argument("--held-out", type=int, default=360, help="synthetic held-out sentences (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="programs to run at once (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sources = read_sources(args.speech / "text", rng, args.held_out)
    test = [draw_utterance(text, rng) for text in sources.test]
    texts = itertools.islice(training_texts(sources, rng), args.utterances)
    train = [draw_utterance(text, rng) for text in texts]
    args.out.mkdir(parents=True, exist_ok=True)
    items = itertools.chain(
        real_items(args.speech),
        librispeech_items(args.speech),
        synthetic_items(test, "test", args.jobs),
        synthetic_items(train, "train", args.jobs),
    )
    write(items, args.out)


if __name__ == "__main__":
    main()
