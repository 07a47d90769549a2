"""Speech on disk: parts of a corpus, each a folder with `audio.i16` (16 kHz, mono) and `index.tsv`.

Waveforms are kept as 16-bit integers one behind the other and memory-mapped, so that every training process shares
them. A transcript stands twice: as letters (`AND THEN`) and as dictated (`And then.`), the latter where it is known.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16000  # Hz
TABLE: dict[str, Any] = {
    "delimiter": "\t",
    "quoting": csv.QUOTE_NONE,
    "quotechar": None,
}  # tab-separated, nothing is quoted
PEAK = 0.9  # of the largest integer: each utterance is scaled to it


@dataclass(frozen=True)
class Utterance:
    """Where an utterance is in `audio.i16` (in samples) and what is said in it."""

    offset: int
    length: int
    name: str
    letters: str
    dictated: str = ""


class Part:
    """One folder of a corpus."""

    def __init__(self, folder: Path) -> None:
        with (folder / "index.tsv").open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, **TABLE)
            self.utterances = [
                Utterance(**{**row, "offset": int(row["offset"]), "length": int(row["length"])}) for row in rows
            ]
        self._audio = np.memmap(folder / "audio.i16", dtype=np.int16, mode="r")

    def waveform(self, utterance: Utterance) -> NDArray[np.float32]:
        """The waveform (samples,) with zero mean and unit variance, as wav2vec2's processor gives it."""
        stored = self._audio[utterance.offset : utterance.offset + utterance.length]
        return normalised(stored.astype(np.float32))

    @property
    def seconds(self) -> float:
        """Length of all utterances."""
        return sum(utterance.length for utterance in self.utterances) / RATE


def normalised(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zero mean and unit variance, as `Wav2Vec2FeatureExtractor` does it with `do_normalize`."""
    if waveform.size == 0:
        return waveform
    centred = waveform - waveform.mean()
    result: NDArray[np.float32] = (centred / np.sqrt(waveform.var() + 1e-7)).astype(np.float32)
    return result


class PartWriter:
    """Writes a part utterance by utterance; it can be read while it grows and when a run is interrupted."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._audio = (folder / "audio.i16").open("wb")
        self._index = (folder / "index.tsv").open("w", newline="", encoding="utf-8")
        names = [field.name for field in fields(Utterance)]
        self._rows = csv.DictWriter(self._index, names, **TABLE)
        self._rows.writeheader()
        self.samples = 0

    def write(self, name: str, waveform: NDArray[np.float32], letters: str, dictated: str = "") -> None:
        """Append one utterance (samples,)."""
        scaled = waveform * (PEAK * (2**15 - 1) / max(1e-6, float(np.abs(waveform).max())))
        self._audio.write(scaled.astype(np.int16).tobytes())
        self._audio.flush()
        self._rows.writerow(asdict(Utterance(self.samples, len(waveform), name, letters, dictated)))
        self._index.flush()
        self.samples += len(waveform)

    def close(self) -> None:
        """Flush both files."""
        self._audio.close()
        self._index.close()


def write_part(folder: Path, items: Iterable[tuple[str, NDArray[np.float32], str, str]]) -> Part:
    """Write a part from (name, waveform, letters, dictated) and open it."""
    writer = PartWriter(folder)
    for name, waveform, letters, dictated in items:
        writer.write(name, waveform, letters, dictated)
    writer.close()
    return Part(folder)


def parts(folder: Path) -> Iterator[tuple[str, Part]]:
    """All parts below `folder`, by name."""
    for index in sorted(folder.glob("*/index.tsv")):
        yield index.parent.name, Part(index.parent)
