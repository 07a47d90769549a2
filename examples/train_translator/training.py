"""What any training needs: a learning rate that follows the time that is left, an average of the weights, a log."""

import copy
import math
import time
from typing import Generic, TypeVar

import torch

WARMUP = 0.015  # share of the time

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


class Clock:
    """Progress through the time budget, from 0 to 1. It stands still between calls of `tick`."""

    def __init__(self, minutes: float) -> None:
        self._start, self._budget, self.minutes = time.monotonic(), minutes * 60, 0.0

    def resume(self, minutes: float) -> None:
        """Go on where an interrupted run stopped."""
        self._start, self.minutes = time.monotonic() - minutes * 60, minutes

    def tick(self) -> None:
        """Read the time: the minutes since the start."""
        self.minutes = (time.monotonic() - self._start) / 60

    @property
    def progress(self) -> float:
        """Share of the budget that is used up."""
        return min(1.0, self.minutes * 60 / self._budget)

    def rate(self) -> float:
        """Learning rate relative to its peak: a linear warm-up, then half a cosine to zero."""
        if self.progress < WARMUP:
            return self.progress / WARMUP
        return 0.5 * (1 + math.cos(math.pi * (self.progress - WARMUP) / (1 - WARMUP)))


class Average(Generic[ModelT]):
    """Exponential moving average of the weights."""

    def __init__(self, model: ModelT, decay: float = 0.999) -> None:
        self._model, self._decay, self._steps = model, decay, 0
        self.averaged = copy.deepcopy(model).eval()

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the model; fast at first."""
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 10))
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self._model.parameters()), 1 - decay)


def log(line: str) -> None:
    """Print `line` with the time of day."""
    print(time.strftime("%H:%M:%S"), line, flush=True)
