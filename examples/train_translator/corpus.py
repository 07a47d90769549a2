"""Speech on disk: all waveforms end to end in `audio.i16` (16 kHz), and a line for each in `index.tsv`."""

import csv
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from synthesis import RATE, Utterance, read_audio, synthesize

FIELDS = ("offset", "length", "set", "split", "speaker", "transcript")
Split = Literal["train", "test"]
Item = tuple[str, Split, str, str, NDArray[np.int16]]  # set, split, speaker, transcript, waveform


@dataclass(frozen=True)
class Clip:
    """One utterance: where it is in `audio.i16` (in samples) and what is said."""

    offset: int
    length: int
    set: str
    split: str
    speaker: str
    transcript: str


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


def held_out(row: dict[str, str]) -> bool:
    """Every tenth take of each digit by each speaker: `7_george_17.flac`."""
    return int(Path(row["path"]).stem.rsplit("_", 1)[1]) % 10 == 7


def real_items(folder: Path) -> Iterator[Item]:
    """The recordings of a set that comes with a `train.tsv`."""
    with (folder / "train.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            audio = read_audio(folder / row["path"])
            yield folder.name, "test" if held_out(row) else "train", row["speaker"], row["transcript"].upper(), audio


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
