"""What tells speech from the rest, frame by frame: the interface that energy, Silero's model and others have."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.float32]


class Frames(NamedTuple):
    """Of each frame whether there is speech, bool [frames], and its level in dB of full scale, float64 [frames]."""

    is_speech: npt.NDArray[np.bool_]
    levels: npt.NDArray[np.float64]

    @classmethod
    def joined(cls, parts: "Sequence[Frames]") -> "Frames":
        """One after the other."""
        if not parts:
            return cls(np.zeros(0, np.bool_), np.zeros(0))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))


class Activity(Protocol):
    """Takes samples in blocks of any size and gives frames of `step` samples, the same for any split into blocks."""

    step: int

    def feed(self, samples: Waveform) -> Frames:
        """The frames that the next samples [samples] complete, float32 at the rate that it was made for."""
        ...

    def finish(self) -> Frames:
        """The frames that are left at the end, the last of which may be shorter than a step."""
        ...
