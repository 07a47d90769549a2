"""The steps of a quantization: they are reported when they begin, and timed."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int | None], object]  # a step, how much of it is done, and of how much
Count: TypeAlias = Callable[[int, int], object]  # utterances done, and in all


def silent(step: str, done: int, total: int | None) -> None:
    """Show no progress."""


class StepClock:
    """Reports steps and adds up the seconds that each takes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._label = ""
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Count]:
        """Time a step; gives what to call with how much is done, and of how much."""
        self.note(name)
        began = time.monotonic()
        try:
            yield lambda done, total: self._progress(self._label, done, total)
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - began

    def note(self, text: str) -> None:
        """Say what a step is at; what is counted from here on is counted for that."""
        self._label = text
        self._progress(text, 0, None)
