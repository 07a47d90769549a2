"""Which labels hold in which frames, as stretches of frames: what a frame classifier says, and the truth beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgespeech_calib.speech.segments import Segment

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledFrames:
    """Of each label, the stretches `(first, end)` of frames in which it holds, among so many frames."""

    frames: int
    stretches: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of(cls, flags: Flags) -> "LabelledFrames":
        """[frames, labels] to stretches."""
        edges = np.diff(flags.astype(np.int8), axis=0, prepend=0, append=0)
        stretches = (
            zip(np.flatnonzero(column == 1).tolist(), np.flatnonzero(column == -1).tolist(), strict=True)
            for column in edges.T
        )
        return cls(len(flags), tuple(map(tuple, stretches)))

    @classmethod
    def answer(cls, predicted: "str | Flags") -> "Answer":
        """The answer of a model as it is compared: a text or a label as it is, labels of frames as stretches."""
        return predicted if isinstance(predicted, str) else cls.of(predicted)

    @classmethod
    def true(cls, segments: Iterable[Segment], labels: Sequence[str], frames: int, hop: float) -> "LabelledFrames":
        """What holds in truth: a label in a frame if the middle of the frame, of `hop` seconds, is in its segment."""
        flags = np.zeros((frames, len(labels)), np.bool_)
        middles = (np.arange(frames) + 0.5) * hop
        for segment in segments:
            inside = (middles >= segment.start) & (middles < segment.end)
            for column, label in enumerate(labels):
                if label == segment.label:
                    flags[inside, column] = True
        return cls.of(flags)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LabelledFrames":
        """Read what `dataclasses.asdict` gave for JSON."""
        stretches = (tuple((first, end) for first, end in column) for column in values["stretches"])
        return cls(values["frames"], tuple(stretches))

    def flags(self) -> Flags:
        """Stretches to [frames, labels]."""
        flags = np.zeros((self.frames, len(self.stretches)), np.bool_)
        for column, stretches in enumerate(self.stretches):
            for first, end in stretches:
                flags[first:end, column] = True
        return flags

    def segments(self, labels: Sequence[str], hop: float) -> tuple[Segment, ...]:
        """When which label holds, in the order of the starts; a frame is `hop` seconds."""
        segments = [
            Segment(first * hop, end * hop, label)
            for label, stretches in zip(labels, self.stretches, strict=True)
            for first, end in stretches
        ]
        return tuple(sorted(segments, key=lambda segment: (segment.start, segment.label)))


Answer: TypeAlias = str | LabelledFrames  # of a system: a text, a label, or which labels hold when
