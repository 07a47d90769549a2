"""How the frames of a model lie in samples and in seconds."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """`hop` samples lie between frames, the first takes `first` samples, and `rate` samples are a second."""

    hop: int
    first: int
    rate: int

    def frames(self, samples: int) -> int:
        """How many there are in so many samples."""
        return max(0, (samples - self.first) // self.hop + 1)

    def end(self, frames: int) -> int:
        """The samples that so many frames take."""
        return (frames - 1) * self.hop + self.first

    def at_least(self, seconds: float) -> int:
        """The fewest frames, one or more, that are so many seconds."""
        return max(1, math.ceil(round(seconds * self.rate / self.hop, 6)))

    def seconds(self, begin: int, frames: int) -> float:
        """From the beginning of the frame `begin` to the end of the samples that `frames` frames take."""
        return (self.end(frames) - begin * self.hop) / self.rate
