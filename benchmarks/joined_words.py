"""Recordings joined from single words, so that it is known when each word is said."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_runtime import AlignedWord, CtcModel, read_audio

RATE = 16000  # Hz
STEP = RATE // 100  # 10 ms, over which loudness is measured
FALL = 30.0  # dB below the loudest that are still of a word
CONTRAST = 40.0  # dB between the loudest and the quietest tenth of a recording
DIGITAL = -90.0  # dB of full scale, below which nothing was recorded: zeros beside a noise do not make it end
LONGEST = 1.2  # seconds of a word
PAUSE = 15  # steps of quiet that are no closure of a word: what is beyond them is another sound, a click or a breath
LEVEL = 0.3  # of the loudest sample of each word
HISS = 1e-4  # of what lies between and under the words

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Joined:
    """A recording at 16 kHz, its words, and beginning and end of each in seconds, `[words, 2]`."""

    samples: Samples
    words: list[str]
    edges: npt.NDArray[np.float64]


def draw(known: Sequence[tuple[Path, str]], count: int, rng: np.random.Generator) -> list[tuple[Path, str]]:
    """So many of the recordings by chance, of those in which loudness shows where the word is."""
    order = (known[at] for at in rng.permutation(len(known)))
    return list(islice((each for each in order if _is_clean(read_audio(each[0], RATE))), count))


def _is_clean(samples: Samples) -> bool:
    """Whether what is beside the word is quiet, nothing else sounds, and the word is short."""
    levels = _levels(samples)
    if np.diff(np.flatnonzero(levels >= levels.max() - FALL)).max(initial=0) > PAUSE:
        return False
    recorded = levels[levels > DIGITAL]
    return len(trimmed(samples)) <= LONGEST * RATE and np.percentile(recorded, 10) < levels.max() - CONTRAST


def _levels(samples: Samples) -> npt.NDArray[np.float64]:
    count = len(samples) // STEP
    power = np.square(samples[: count * STEP], dtype=np.float64).reshape(count, STEP).mean(axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def trimmed(samples: Samples) -> Samples:
    """The part of a recording between the first and the last 10 ms that are as loud as a word."""
    levels = _levels(samples)
    loud = np.flatnonzero(levels >= levels.max() - FALL)
    return samples[loud[0] * STEP : (loud[-1] + 1) * STEP]


def recordings(folder: Path) -> list[tuple[Path, str]]:
    """Files and words of a set that has one word, or one name, in each."""
    with (folder / "train.tsv").open(encoding="utf-8") as stream:
        return [(folder / row["path"], row["transcript"]) for row in csv.DictReader(stream, delimiter="\t")]


def join(chosen: Sequence[tuple[Path, str]], silences: Sequence[float], seed: int) -> Joined:
    """The recordings one after the other, a silence of one of these lengths (seconds) before, between and behind."""
    rng = np.random.default_rng(seed)
    parts, edges, at = [np.zeros(int(rng.choice(silences) * RATE), np.float32)], [], 0
    for path, _ in chosen:
        at += len(parts[-1])
        word = trimmed(read_audio(path, RATE))
        edges.append((at / RATE, (at + len(word)) / RATE))
        at += len(word)
        parts += [word * (LEVEL / np.abs(word).max()), np.zeros(int(rng.choice(silences) * RATE), np.float32)]
    samples = np.concatenate(parts)
    noise = rng.standard_normal(len(samples)).astype(np.float32) * np.float32(HISS)
    return Joined(samples + noise, [word for _, word in chosen], np.array(edges))


def edge_errors(model: CtcModel, joined: Joined) -> npt.NDArray[np.float64]:
    """By how many seconds the edges that a model finds are late, `[words, 2]`; NaN for a word that it does not find."""
    found = iter(model.align(joined.samples, " ".join(joined.words), sampling_rate=RATE).words)
    edges = []
    for name in joined.words:
        parts = [next(found) for _ in name.split()]
        is_there = all(isinstance(part, AlignedWord) and part.timing == "audio" for part in parts)
        edges.append((parts[0].start, parts[-1].end) if is_there else (np.nan, np.nan))
    return np.array(edges) - joined.edges
