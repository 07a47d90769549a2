"""A recording of any length in parts that a model runs on one by one: those in which somebody speaks.

What is between them is never computed, and no more of the recording is kept than the part that is not complete.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from .activity import Activity, Waveform
from .speech import Span, SpeechDetector, SpeechOptions


class Part(NamedTuple):
    """Samples [samples] of a recording, the first of which is its sample number `start`."""

    start: int
    samples: Waveform

    @property
    def end(self) -> int:
        """The sample behind the last."""
        return self.start + len(self.samples)


class PartCutter:
    """Gives the parts of a stream of samples with speech, as soon as they are complete: see `SpeechDetector`."""

    def __init__(self, rate: int, options: SpeechOptions, activity: Activity | None = None) -> None:
        self.detector = SpeechDetector(rate, options, activity)
        self._kept = np.zeros(0, np.float32)
        self._begin = 0  # sample that is the first of those kept

    @property
    def kept(self) -> Part:
        """What may become the beginning of a part."""
        return Part(self._begin, self._kept)

    def feed(self, samples: Waveform) -> list[Part]:
        """Take the next samples [samples]; return the parts that they complete."""
        self._kept = np.concatenate((self._kept, samples))
        found = self._parts(self.detector.feed(samples))
        begin = min(max(self._begin, self.detector.idle_from), self._begin + len(self._kept))
        self._kept, self._begin = self._kept[begin - self._begin :].copy(), begin
        return found

    def finish(self) -> list[Part]:
        """The last parts. Nothing may follow."""
        return self._parts(self.detector.finish())

    def _parts(self, spans: Iterable[Span]) -> list[Part]:
        return [Part(start, self._kept[start - self._begin : end - self._begin].copy()) for start, end in spans]


def speech_parts(
    blocks: Iterable[Waveform], rate: int, options: SpeechOptions, activity: Activity | None = None
) -> Iterator[tuple[int, list[Part]]]:
    """After each block the number of samples so far, and the parts that it completes; the last ones at the end."""
    cutter, count = PartCutter(rate, options, activity), 0
    for block in blocks:
        count += len(block)
        yield count, cutter.feed(block)
    yield count, cutter.finish()
