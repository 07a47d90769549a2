"""How the frames of a model lie in samples and in seconds."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FrameGrid:
    """`hop` samples lie between frames, the first takes `shortest` samples, and `rate` samples are a second."""

    hop: int
    shortest: int
    rate: int

    def frames(self, samples: int) -> int:
        """Whole frames in so many samples."""
        return max(0, (samples - self.shortest) // self.hop + 1)

    def samples(self, frames: int) -> int:
        """The samples that so many frames take."""
        return self.shortest + (frames - 1) * self.hop if frames > 0 else 0

    def at_least(self, seconds: float) -> int:
        """The fewest frames, one or more, that are so many seconds."""
        return max(1, math.ceil(round(seconds * self.rate / self.hop, 6)))

    def seconds(self, begin: int, frames: int) -> float:
        """From the beginning of the frame `begin` to the end of the samples that `frames` frames take."""
        return (self.samples(frames) - begin * self.hop) / self.rate
