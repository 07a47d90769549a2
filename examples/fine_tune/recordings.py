"""Labelled recordings: which are held out, batches of similar lengths, and tables of them."""

import json
import random
from functools import lru_cache
from pathlib import Path

import numpy as np
from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.manifests import SUFFIXES
from edgespeech_calib.speech.sets import open_set
from edgespeech_calib.speech.utterance import Utterance
from numpy.typing import NDArray


def opened(manifest: str) -> list[Utterance]:
    """The recordings of a manifest; those that cannot be read are named and left out. Raises DataError."""
    if not manifest.lower().endswith(SUFFIXES):
        raise DataError(f"{manifest} is no manifest; expected a table of recordings ({', '.join(SUFFIXES)})")
    data = open_set(manifest)
    for skipped in data.skipped:
        print(f"left out: {skipped.id}: {skipped.reason}")
    return list(data)


def split(utterances: list[Utterance], every: int) -> tuple[list[Utterance], list[Utterance]]:
    """Part one speaker in `every` off, or one recording where no speakers are named. Raises DataError."""
    keys = [one.speaker or one.id for one in utterances]
    held_out = set(list(dict.fromkeys(keys))[::every]) if every else set()
    if held_out == set(keys) or not held_out:
        raise DataError(f"one in {every} of {len(set(keys))} speakers or recordings held out: expected two parts")
    pairs = list(zip(utterances, keys, strict=True))
    return [one for one, key in pairs if key not in held_out], [one for one, key in pairs if key in held_out]


@lru_cache(4096)
def waveform(utterance: Utterance, rate: int) -> NDArray[np.float16]:
    """The sound (samples,) at `rate` Hz in [-1, 1], in half precision because many stay in memory."""
    return utterance.audio.read(rate).astype(np.float16)


def batches(utterances: list[Utterance], seconds: float, jitter: float = 0.0) -> list[list[Utterance]]:
    """Batches of similar lengths, in any order, of about so many seconds with their padding or of one recording."""
    parts: list[list[Utterance]] = [[]]
    for one in sorted(utterances, key=lambda one: (one.seconds or 0) * random.uniform(1 - jitter, 1 + jitter)):
        if parts[-1] and (one.seconds or 0) * (len(parts[-1]) + 1) > seconds:
            parts.append([])
        parts[-1].append(one)
    return random.sample(parts, len(parts))


def write_table(path: Path, utterances: list[Utterance], column: str, targets: list[str]) -> None:
    """Write a manifest in JSON lines; `column` is `text` or `label`."""
    lines = []
    for one, target in zip(utterances, targets, strict=True):
        row = {"path": str(Path(one.audio.name).resolve()), "duration": one.seconds, "speaker": one.speaker}
        lines.append(json.dumps(row | {column: target}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
