"""Speech for the benchmarks: what INT8 is calibrated on, and what its logits are judged on.

Both come from one set, and no utterance is in both as long as the set has enough of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edgespeech_calib.speech.sets import SpeechSet, open_set
from edgespeech_runtime.audio.waveform import normalize

from benchmarks.workload import RATE, SEED

Values = npt.NDArray[np.float32]  # (1, samples), normalised

ROOT = Path(__file__).parents[1]
LIBRISPEECH = ROOT.parent / "shared" / "speech" / "LibriSpeech" / "train-clean-100"
SHIPPED = str(ROOT / "edgespeech" / "checkpoints" / "calibration" / "sentences-en.tsv")  # synthetic
EXCERPT = 6.0  # seconds of each utterance


def default_set() -> str:
    """LibriSpeech where it lies beside the checkout, else the synthetic set that ships with edgespeech."""
    return str(LIBRISPEECH) if LIBRISPEECH.is_dir() else SHIPPED


@dataclass(frozen=True)
class Speech:
    """A set of recordings, and how many of them calibrate."""

    data: SpeechSet
    samples: int

    @classmethod
    def open(cls, path: str, samples: int) -> "Speech":
        """Open the set at `path`. Raises edgespeech_calib's DataError."""
        return cls(open_set(path), samples)

    def calibration(self) -> Iterator[Values]:
        """Excerpts of the utterances that calibrate: those that our own quantization draws by the same seed."""
        for utterance in self.data.sample(self.samples, SEED):
            yield normalize(utterance.audio.read(RATE)[: round(EXCERPT * RATE)])[None]

    def waveform(self, seconds: float) -> npt.NDArray[np.float32]:
        """Utterances that do not calibrate, joined to float32 `[samples]` of that length."""
        drawn = {utterance.id for utterance in self.data.sample(self.samples, SEED)}
        others = [utterance for utterance in self.data if utterance.id not in drawn] or list(self.data)
        wanted, parts, found = round(seconds * RATE), list[npt.NDArray[np.float32]](), 0
        while found < wanted:
            part = others[len(parts) % len(others)].audio.read(RATE)
            parts.append(part)
            found += len(part)
        return np.concatenate(parts)[:wanted]
