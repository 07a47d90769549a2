"""Learning rates that follow the time that is left: a training takes as long as it is told to."""

import math
import time
from collections.abc import Iterator


class Clock:
    """Progress through a time budget."""

    def __init__(self, minutes: float, warm_up: float = 0.02, flat: float = 0.0) -> None:
        self._start, self._budget = time.monotonic(), 60 * minutes
        self._warm_up, self._flat = warm_up, flat

    @property
    def progress(self) -> float:
        """Share of the budget that is used up, at most 1."""
        return min(1.0, (time.monotonic() - self._start) / self._budget)

    @property
    def rate(self) -> float:
        """Learning rate relative to its peak: a linear warm-up, flat, then half a cosine to zero."""
        progress = self.progress
        if progress < self._warm_up:
            return max(progress / self._warm_up, 0.01)
        if progress < self._flat:
            return 1.0
        start = max(self._warm_up, self._flat)
        return 0.5 * (1 + math.cos(math.pi * (progress - start) / (1 - start)))

    def steps(self) -> Iterator[int]:
        """0, 1, 2, ... until the time is used up."""
        step = 0
        while self.progress < 1:
            yield step
            step += 1
