"""A recording of any length in parts that a model runs on one by one: those in which somebody speaks.

What is between them is never computed, and no more of the recording is kept than the part that is not complete.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ..errors import AudioError
from .activity import Activity, Waveform
from .newest import Sound
from .speech import Span, SpeechDetector, SpeechOptions


class Part(NamedTuple):
    """Neighbouring spans of speech in a recording, and their samples [samples], one span behind the other."""

    spans: tuple[Span, ...]
    samples: Waveform

    @property
    def start(self) -> int:
        """The sample of the recording where it begins."""
        return self.spans[0].start

    @property
    def end(self) -> int:
        """The sample of the recording behind its last."""
        return self.spans[-1].end


class PartCutter:
    """Gives the parts of a stream of samples with speech, as soon as they are complete.

    Spans of the detector that are less than `near` seconds apart are one part, as far as its samples are no longer than
    `SpeechOptions.longest`: a model knows more of what it hears in context, and the pauses between are left out.
    """

    def __init__(self, rate: int, options: SpeechOptions, activity: Activity | None = None, near: float = 0.0) -> None:
        self.detector = SpeechDetector(rate, options, activity)
        self._near = round(near * rate)
        self._longest = np.inf if options.longest is None else options.longest * rate
        self._sound = Sound()
        self._spans: list[Span] = []
        self._waveforms: list[Waveform] = []

    @property
    def start(self) -> int:
        """The sample before which no part begins that is still to come."""
        return self._spans[0].start if self._spans else self.detector.idle_from

    @property
    def kept(self) -> int:
        """How many samples are kept."""
        return self._sound.end - self._sound.begin + sum(map(len, self._waveforms))

    def feed(self, samples: Waveform) -> list[Part]:
        """Take the next samples [samples]; return the parts that they complete."""
        spans = self.detector.feed(samples)  # it may fail; then nothing has been taken
        self._sound.add(samples)
        parts = self._taken(spans)
        self._sound.forget(self.detector.idle_from)
        if self._spans and self.detector.idle_from - self._spans[-1].end >= self._near:
            parts.append(self._complete())
        return parts

    def finish(self) -> list[Part]:
        """The last parts. Nothing may follow."""
        parts = self._taken(self.detector.finish())
        return [*parts, self._complete()] if self._spans else parts

    def _taken(self, spans: Iterable[Span]) -> list[Part]:
        parts = []
        for span in spans:
            samples = self._sound.between(span.start, min(span.end, self._sound.end)).copy()
            length = len(samples) + sum(map(len, self._waveforms))
            if self._spans and (span.start - self._spans[-1].end >= self._near or length > self._longest):
                parts.append(self._complete())
            self._spans.append(span)
            self._waveforms.append(samples)
        return parts

    def _complete(self) -> Part:
        part = Part(tuple(self._spans), np.concatenate(self._waveforms))
        self._spans, self._waveforms = [], []
        return part


def speech_parts(
    blocks: Iterable[Waveform], rate: int, options: SpeechOptions, activity: Activity | None = None, near: float = 0.0
) -> Iterator[tuple[int, list[Part]]]:
    """After each block the number of samples so far, and the parts that it completes; the last ones at the end.

    Where the blocks end with an AudioError, what came before makes parts too; then it is raised.
    """
    cutter, count = PartCutter(rate, options, activity, near), 0
    source = iter(blocks)
    while True:
        try:
            block = next(source, None)
        except AudioError:
            yield count, cutter.finish()
            raise
        if block is None:
            break
        count += len(block)
        yield count, cutter.feed(block)
    yield count, cutter.finish()
