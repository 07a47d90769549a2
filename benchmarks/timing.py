"""Interleaved timing: every contender sees the same machine, busy or not. It knows nothing of speech or models."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]
Clock = Callable[[], float]  # seconds

SETTLE = 0.02  # seconds between calls: an engine's threads spin for a while before they sleep


@dataclass(frozen=True)
class Timing:
    """Seconds of each measured call, in the order of the rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """What to compare."""
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        """The call that was disturbed least."""
        return min(self.seconds)


def interleave(
    calls: Mapping[str, Call], runs: int, progress: Call = lambda: None, clock: Clock | None = None
) -> dict[str, Timing]:
    """Time `runs` rounds; each calls everyone once, and each begins one place further on than the round before.

    So a disturbance of some seconds hits all alike, and nobody always follows the same neighbour. Warm the calls up
    first: none is left out here. `progress` is called before each round. Without a `clock` it is the wall's.
    """
    names, clock = list(calls), clock or time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for first in range(runs):
        progress()
        for name in order(names, first):
            time.sleep(SETTLE)
            start = clock()
            calls[name]()
            seconds[name].append(clock() - start)
    return {name: Timing(tuple(taken)) for name, taken in seconds.items()}


def order(names: list[str], first: int) -> list[str]:
    """The names, beginning at place `first`, counted around."""
    return [names[(first + place) % len(names)] for place in range(len(names))]


def load_average() -> list[float] | None:
    """Processes that ran or wanted to, averaged over 1, 5 and 15 minutes; None on systems that do not count them."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None
