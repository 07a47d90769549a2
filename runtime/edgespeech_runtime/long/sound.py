"""The samples of a recording around where it is being run, and where speech is in them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..errors import AudioError
from .speech import Span, SpeechDetector

Waveform = npt.NDArray[np.float32]


class Sound:
    """Blocks of samples, read as far as they are asked for; what lies behind is let go.

    Attributes:
        end: the sample behind the last that has been read.
        total: samples of the recording, None before its end has been reached.
    """

    def __init__(self, blocks: Iterable[Waveform], detector: SpeechDetector | None = None) -> None:
        """Without a `detector` all of it counts as speech."""
        self._blocks, self._detector = iter(blocks), detector
        self._parts: list[Waveform] = []
        self._first = self.end = 0  # sample where the first part begins, and behind the last
        self._spans: list[Span] = []
        self.total: int | None = None
        self._error: AudioError | None = None  # that ended it

    def read(self, end: int) -> None:
        """Read on until sample `end`, or the end of the recording."""
        while self.end < end and self.total is None:
            self._next()

    def require_whole(self) -> None:
        """Raise the AudioError that ended the recording, if there was one; what comes before can be run."""
        if self._error is not None:
            raise self._error

    def samples(self, start: int, end: int) -> Waveform:
        """`[n]` of `start <= sample < end`, which have been read; those before `start` are let go."""
        while self._parts and self._first + len(self._parts[0]) <= start:
            self._first += len(self._parts.pop(0))
        if self._parts:
            self._parts = [np.concatenate([self._parts[0][start - self._first :], *self._parts[1:]])]
            self._first = start
        return self._parts[0][: end - start] if self._parts else np.zeros(0, np.float32)

    @property
    def kept(self) -> int:
        """Samples that are in memory."""
        return sum(map(len, self._parts))

    @property
    def first_speech(self) -> int:
        """The sample before which there is no speech, by what has been read; 0 without a detector."""
        if self._detector is None:
            return 0
        return self._spans[0].start if self._spans else self._detector.idle_from

    def end_of_speech(self, sample: int) -> int | None:
        """Where the first speech ends that ends behind a sample, by what has been read: None where it is not known."""
        self._forget(sample)
        return self._spans[0].end if self._spans else self.total

    def next_speech(self, sample: int) -> int | None:
        """Where speech goes on at a sample or behind it; None where there is no more. It is read on until that is
        known, and samples before are let go.
        """
        while True:
            self._forget(sample)
            if (known := self._speech_ahead(sample)) is not None:
                return known
            if self._detector is None:
                return sample
            if self.total is not None:
                return None
            self.samples(max(sample, self._detector.idle_from), self.end)
            self._next()

    def silence(self, sample: int, most: int) -> tuple[int, bool]:
        """How far the silence goes that begins at a sample, and whether it ends there. It is read on until that is
        known, or so many samples of silence are.
        """
        while True:
            self._forget(sample)
            known = self._speech_ahead(sample)
            if known is not None or self.total is not None:
                return (self.end if known is None else known), True
            if self._detector is None or self._detector.idle_from - sample >= most:
                return sample + most, False
            self._next()

    def _speech_ahead(self, sample: int) -> int | None:
        """Where speech goes on at a sample or behind it, by what has been read: None where it is not known."""
        if self._spans:
            return max(sample, self._spans[0].start)
        if self._detector is not None and self._detector.start is not None:
            return max(sample, self._detector.start)
        return None

    def _forget(self, sample: int) -> None:
        while self._spans and self._spans[0].end <= sample:
            del self._spans[0]

    def _next(self) -> None:
        try:
            block = next(self._blocks, None)
        except AudioError as error:
            block, self._error = None, error
        if block is None:
            self.total = self.end
            if self._detector is not None:
                self._spans += self._detector.finish()
            return
        self._parts.append(block)
        self.end += len(block)
        if self._detector is not None:
            self._spans += self._detector.feed(block)
