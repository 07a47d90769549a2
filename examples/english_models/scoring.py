"""Word errors on recordings that training never sees: LibriSpeech's, and the held-out part of the short sets."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from corpus import RATE, Part, normalised
from edgespeech_calib.scoring.scoring import score
from nonspeech import nonspeech
from numpy.typing import NDArray
from prepare import load

Wave = NDArray[np.float32]
SILENT = 40  # sounds without speech
SPOKEN = {"MR.": "MISTER", "MRS.": "MISSUS", "DR.": "DOCTOR"}


def capitals(text: str) -> str:
    """A written sentence as LibriSpeech writes its transcripts."""
    text = text.upper().replace("’", "'")
    for short, long in SPOKEN.items():
        text = text.replace(short, long)
    return " ".join(re.sub(r"[^A-Z' ]", " ", text).split())


def librispeech(folder: Path, limit: int) -> Iterator[tuple[Wave, str]]:
    """(waveform, transcript) of a set, every utterance of every chapter in turn."""
    lines = [(path, line) for path in sorted(folder.rglob("*.trans.txt")) for line in path.read_text().splitlines()]
    for path, line in lines[:: max(1, len(lines) // limit)][:limit]:
        name, text = line.split(" ", 1)
        yield normalised(load(path.parent / f"{name}.flac")), text


def report(transcribe: Callable[[Wave], str], speech: Path, corpus: Path, limit: int) -> str:
    """One line of word error rates; of sounds without speech, the share that gives text."""
    results = []
    sets = {name: list(librispeech(speech / "LibriSpeech" / name, limit)) for name in ("dev-clean", "test-other")}
    for folder in sorted((corpus / "held-out").glob("*")):
        part = Part(folder)
        sets[folder.name] = [(part.waveform(item), item.letters) for item in part.utterances[:limit]]
    for name, pairs in sets.items():
        texts = [capitals(transcribe(waveform)) for waveform, _ in pairs]
        results.append(f"{name} {score([text for _, text in pairs], texts).wer:.1%}")
    rng = np.random.default_rng(0)
    heard = [bool(transcribe(normalised(nonspeech(int(RATE * rng.uniform(1, 8)), rng)))) for _ in range(SILENT)]
    return ", ".join([*results, f"text where nobody speaks {np.mean(heard):.0%}"])
