"""Synthetic speech from espeak-ng and flite: which voice says what, and the waveform.

Both programs must be on the PATH. Every choice is drawn from a seeded generator, so a data set can be made again.
"""

import random
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16000  # Hz

ESPEAK_ACCENTS = ("en-us", "en-us", "en-gb", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
ESPEAK_VARIANTS = ("", "", "", *(f"+f{i}" for i in range(1, 6)), *(f"+m{i}" for i in range(1, 8)))
FLITE_VOICES = ("kal", "kal16", "awb", "rms", "slt")
FLITE_SHARE = 0.4
ENDINGS = ("", "", ".", ".", "?", "!")


@dataclass(frozen=True)
class Utterance:
    """One thing to say: the transcript, the voice's name and the command line that makes it."""

    transcript: str
    voice: str
    command: tuple[str, ...]


def draw_utterance(transcript: str, rng: random.Random) -> Utterance:
    """Choose engine, voice, rate and pitch for `transcript` (upper case words)."""
    spoken = transcript.lower() + rng.choice(ENDINGS)
    if rng.random() < FLITE_SHARE:
        voice = rng.choice(FLITE_VOICES)
        stretch = rng.choice((1.0, 1.0, rng.uniform(0.85, 1.2)))
        command = ("flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-t", spoken)
        return Utterance(transcript, f"flite-{voice}", command)
    voice = rng.choice(ESPEAK_ACCENTS) + rng.choice(ESPEAK_VARIANTS)
    rate, pitch, gap = rng.randint(120, 205), rng.randint(25, 75), rng.choice((0, 0, 0, 1, 3))
    options = ("-v", voice, "-s", str(rate), "-p", str(pitch), "-g", str(gap))
    return Utterance(transcript, f"espeak-{voice}", ("espeak-ng", *options, "--stdout", spoken))


def synthesize(utterance: Utterance) -> NDArray[np.int16]:
    """Return the waveform as int16 (samples,) at 16 kHz. Raises CalledProcessError if the program fails."""
    if utterance.command[0] == "flite":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "speech.wav")
            subprocess.run([*utterance.command, "-o", str(path)], check=True, capture_output=True)
            audio, rate = soundfile.read(path, dtype="float32")
    else:
        done = subprocess.run(utterance.command, check=True, capture_output=True)
        # A piped WAV header carries no true length: skip its 44 bytes instead of trusting it.
        audio = np.frombuffer(done.stdout[44:], dtype="<i2").astype(np.float32) / 2**15
        rate = int.from_bytes(done.stdout[24:28], "little")
    return to_int16(audio, rate)


def to_int16(audio: NDArray[np.float32], rate: int) -> NDArray[np.int16]:
    """Resample mono float audio to 16 kHz and round it to int16, without clipping to wrap-around."""
    if rate != RATE:
        audio = soxr.resample(audio, rate, RATE)
    return np.clip(np.round(audio * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def read_audio(path: Path) -> NDArray[np.int16]:
    """Read any file that libsndfile knows as int16 mono at 16 kHz."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return to_int16(audio.mean(axis=1), rate)


def espeak(voice: str, transcript: str) -> Utterance:
    """`transcript` as espeak-ng says it without being told more than the voice."""
    return Utterance(transcript, voice, ("espeak-ng", "-v", voice, "--stdout", transcript.lower()))


def flite(voice: str, transcript: str) -> Utterance:
    """`transcript` as flite says it."""
    return Utterance(transcript, voice, ("flite", "-voice", voice, "-t", transcript.lower()))
