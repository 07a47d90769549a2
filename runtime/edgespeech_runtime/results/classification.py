"""What an utterance is, and what is true in it when: the results of classifiers."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..choices import THRESHOLD
from ..errors import ArgumentError


@dataclass(frozen=True)
class Label:
    """A label's name and its probability in [0, 1]; of a regression, a quantity's name and its value."""

    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """The most probable `label` and its `score`; `scores` of all labels, the best first.

    They sum to 1 where one label is true, and are each label's own where several may be. Of a long recording they are
    those of the mean over so many `parts`.
    """

    label: str
    score: float
    scores: tuple[Label, ...]
    parts: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers, ready for JSON; `parts` only where there are several."""
        plain = {**dataclasses.asdict(self), "scores": [dataclasses.asdict(each) for each in self.scores]}
        if self.parts == 1:
            del plain["parts"]
        return plain


@dataclass(frozen=True)
class Segment:
    """A label that is true from `start` to `end`, in seconds; `score` is its mean probability there."""

    label: str
    start: float
    end: float
    score: float


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class FrameLabels:
    """What is true in each frame.

    Attributes:
        labels: names, in the order of the columns.
        probabilities: float32 `[frames, labels]`, each label's by itself: several may be true at once.
        hop: seconds from one frame to the next.
        duration: of the audio, seconds.
    """

    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    hop: float
    duration: float

    def segments(self, threshold: float = THRESHOLD) -> list[Segment]:
        """Where each label's probability is above `threshold` without a break, in the order of their starts.

        Of those that start together, the lowest id comes first. Raises ArgumentError for a threshold outside [0, 1].
        """
        is_number = isinstance(threshold, int | float | np.number) and not isinstance(threshold, bool)
        if not is_number or not 0 <= threshold <= 1:
            raise ArgumentError(f"threshold: expected a number from 0 to 1, got {threshold!r}")
        is_true = np.pad(self.probabilities > threshold, ((1, 1), (0, 0)))  # no run is open at either end
        frames, columns = np.nonzero(is_true[1:] & ~is_true[:-1])  # by frame, then by label
        return [
            self._segment(column, first, int(np.argmin(is_true[first + 1 :, column])) + first)
            for first, column in zip(frames.tolist(), columns.tolist(), strict=True)
        ]

    def _segment(self, column: int, first: int, end: int) -> Segment:
        """Of the frames `first <= frame < end`."""
        score = float(self.probabilities[first:end, column].mean(dtype=np.float64))
        start, end_time = (min(frame * self.hop, self.duration) for frame in (first, end))
        return Segment(self.labels[column], start, end_time, score)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers, ready for JSON."""
        return {**vars(self), "labels": list(self.labels), "probabilities": self.probabilities.tolist()}
