"""The voices of flite (Carnegie Mellon University, free use with its notices kept): Debian's package `flite`."""

import random
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from single_voices import Speak

NAMES = ("slt", "rms", "awb", "kal16")
OFTEN = (3, 3, 3, 1)  # kal16 joins recorded diphones and sounds it
STRETCH = (0.77, 1.25)  # of durations


def flite() -> Speak:
    """Three speakers of CMU Arctic and a diphone voice, another for each sentence."""
    program = shutil.which("flite")
    if program is None:
        raise FileNotFoundError("no flite: apt-get install flite")
    folder = tempfile.TemporaryDirectory()

    def speak(text: str, rng: random.Random) -> tuple[NDArray[np.float32], int]:
        [name] = rng.choices(NAMES, OFTEN)
        out = Path(folder.name) / "spoken.wav"
        stretch = f"duration_stretch={rng.uniform(*STRETCH):.3f}"
        subprocess.run([program, "-voice", name, "--setf", stretch, "-t", text, "-o", str(out)], check=True)
        with wave.open(str(out)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            return samples.astype(np.float32) / np.float32(2**15), file.getframerate()

    return speak
