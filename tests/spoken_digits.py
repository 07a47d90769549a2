"""Spoken digits for trained checkpoints: what they say in English, which some write, and in German, which one does."""

import csv
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
from edgespeech_calib import SpeechSet, open_set
from edgespeech_runtime import read_audio
from places import DIGITS as STRINGS
from places import real_speech

GERMAN = {
    "ZERO": "null",
    "ONE": "eins",
    "TWO": "zwei",
    "THREE": "drei",
    "FOUR": "vier",
    "FIVE": "fünf",
    "SIX": "sechs",
    "SEVEN": "sieben",
    "EIGHT": "acht",
    "NINE": "neun",
}
ENGLISH = {german: english for english, german in GERMAN.items()}
RATE = 16000  # Hz
DIGITS = 3  # of a held-out string
PAUSE = 0.2  # seconds around what is embedded, which is cut tightly

Words = list[list[str]]  # of each utterance, in English


def embedded_digits(folder: Path, count: int) -> tuple[list[Path], Words, SpeechSet]:
    """The `count` shortest synthetic strings of digits as files in `folder`, their words; and the set of the others."""
    data = open_set(str(STRINGS))
    ordered = sorted(data.utterances, key=lambda utterance: len(utterance.audio.read(RATE)))
    pause = np.zeros(int(PAUSE * RATE), np.float32)
    heard = [np.concatenate((pause, utterance.audio.read(RATE), pause)) for utterance in ordered[:count]]
    words = [[ENGLISH[word] for word in utterance.text.split()] for utterance in ordered[:count]]
    return _written(folder, heard), words, replace(data, utterances=ordered[count:])


def held_out_takes() -> dict[tuple[str, str], list[Path]]:
    """Recordings of each digit by each speaker that no training saw: every tenth take."""
    folder = real_speech("fsdd")
    takes: dict[tuple[str, str], list[Path]] = {}
    with (folder / "train.tsv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if Path(row["path"]).stem.endswith("7"):
                takes.setdefault((row["speaker"], row["transcript"]), []).append(folder / row["path"])
    return takes


def held_out_digits(folder: Path, count: int, seconds: float) -> tuple[list[Path], Words]:
    """`count` strings of three held-out recordings each with pauses, of at most `seconds`, as files in `folder`."""
    takes, rng = held_out_takes(), np.random.default_rng(0)
    speakers = sorted({speaker for speaker, _ in takes})
    audios, texts = list[np.ndarray](), list[list[str]]()
    while len(audios) < count:
        words = [str(word) for word in rng.choice(list(GERMAN), DIGITS)]
        speaker = str(rng.choice(speakers))
        parts = [_silence(rng)]
        for word in words:
            paths = takes[speaker, word]
            parts += [read_audio(paths[rng.integers(len(paths))], RATE), _silence(rng)]
        audio = np.concatenate(parts)
        if len(audio) <= seconds * RATE:
            audios.append(audio)
            texts.append(words)
    return _written(folder, audios), texts


def _silence(rng: np.random.Generator) -> np.ndarray:
    return np.zeros(int(rng.uniform(0.05, 0.25) * RATE), np.float32)


def _written(folder: Path, audios: list[np.ndarray]) -> list[Path]:
    files = [folder / f"{index:03}.wav" for index in range(len(audios))]
    for file, audio in zip(files, audios, strict=True):
        with wave.open(str(file), "wb") as stream:
            stream.setparams((1, 2, RATE, 0, "NONE", ""))
            stream.writeframes((audio.clip(-1, 1) * 32767).round().astype(np.int16).tobytes())
    return files
