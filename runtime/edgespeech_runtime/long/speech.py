"""Where speech is in a recording or a stream: blocks of samples in, spans out, the same for any split into blocks.

What is between the spans need not be computed. What tells speech from the rest is an `Activity`: by default energy
above a noise floor, which takes every sound but steady noise for speech, so that no word is lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError
from .activity import Activity, Frames, Waveform
from .energy import EnergyActivity

LEAST = 0.08  # seconds of speech without which a sound is a click
MOST_GAP = 0.3  # seconds within which sounds add up to that
QUIET = 0.1  # seconds of a pause in which too long a span is cut; also those over which its quietest moment is sought


class Span(NamedTuple):
    """Samples of a recording, `start <= n < end`."""

    start: int
    end: int


@dataclass(frozen=True)
class SpeechOptions:
    """How speech is cut into spans, in seconds.

    `pause` without speech ends a span. Of the sound beside it, `before` and `behind` belong to it. One that gets longer
    than `longest` is cut in a pause, or where it is quietest, not before it is `shortest` long; None: never.

    Raises ArgumentError for values that contradict each other.
    """

    pause: float = 0.8
    before: float = 0.25
    behind: float = 0.25
    longest: float | None = None
    shortest: float = 5.0

    def __post_init__(self) -> None:
        for name in ("pause", "before", "behind", "shortest"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ArgumentError(f"{name}: expected seconds of at least 0, got {getattr(self, name)!r}")
        if self.pause < self.before + self.behind:
            raise ArgumentError(
                f"pause: expected at least the {self.before + self.behind:g} s of before and behind, got {self.pause:g}"
            )
        if self.longest is not None and not self.shortest + self.before + self.behind < self.longest:
            least = self.shortest + self.before + self.behind
            raise ArgumentError(
                f"longest: expected more than the {least:g} s of shortest, before and behind, got {self.longest:g}"
            )


class SpeechDetector:
    """Gives the spans of speech of a stream of samples at `rate` Hz."""

    def __init__(self, rate: int, options: SpeechOptions = SpeechOptions(), activity: Activity | None = None) -> None:
        """`activity` is by default energy above the noise (`EnergyActivity`)."""
        self._activity = EnergyActivity(rate) if activity is None else activity
        self._step = self._activity.step

        def frames(seconds: float) -> int:
            return round(seconds * rate / self._step)

        self._pause, self._before, self._behind = map(frames, (options.pause, options.before, options.behind))
        self._longest = None if options.longest is None else int(options.longest * rate / self._step)
        self._shortest = frames(options.shortest)
        self._least, self._gap, self._quiet = (max(1, frames(seconds)) for seconds in (LEAST, MOST_GAP, QUIET))
        self._samples = 0  # that came
        self._frames = 0  # that are decided
        self._end = 0  # frame where the span before ended
        self._start: int | None = None  # frame where the span begins that goes on
        self._first = 0  # frame of the first sound, from which it may become a span
        self._last = 0  # frame behind the last sound
        self._sounds = 0  # frames of sound since the first
        self._flags: list[bool] = []  # of the frames since the first
        self._levels: list[float] = []

    @property
    def start(self) -> int | None:
        """The sample where the span begins that goes on; None where there is none."""
        return None if self._start is None else self._start * self._step

    @property
    def decided(self) -> int:
        """Samples of which it is known whether they are speech."""
        return min(self._frames * self._step, self._samples)

    @property
    def idle_from(self) -> int:
        """The sample before which no span begins that is still to be given."""
        if self._start is not None:
            return self._start * self._step
        next_sound = self._first if self._sounds and self._frames - self._last <= self._gap else self._frames
        return max(self._end, next_sound - self._before) * self._step

    @property
    def silence(self) -> int:
        """Samples without speech up to `decided`, since the last sound or the beginning."""
        return max(0, self.decided - self._last * self._step)

    def feed(self, samples: Waveform) -> list[Span]:
        """Take the next samples [samples]; return spans that have ended, in order."""
        frames = self._activity.feed(samples)
        self._samples += len(samples)
        return self._taken(frames)

    def finish(self) -> list[Span]:
        """Return the spans that the end of the stream ends. Nothing may follow."""
        spans = self._taken(self._activity.finish())
        if self._start is not None:
            spans.append(self._ended(self._start))
        return [Span(span.start, min(span.end, self._samples)) for span in spans]

    def _taken(self, frames: Frames) -> list[Span]:
        spans = []
        for is_speech, level in zip(frames.is_speech.tolist(), frames.levels.tolist(), strict=True):
            self._take(is_speech, level)
            if self._start is None:
                continue
            if self._frames - self._last >= self._pause:
                spans.append(self._ended(self._start))
            elif self._longest is not None and self._last + self._behind - self._start > self._longest:
                spans.append(self._cut(self._start))
        return spans

    def _take(self, is_speech: bool, level: float) -> None:
        """The next frame."""
        if is_speech and self._start is None and (not self._sounds or self._frames - self._last > self._gap):
            self._first, self._sounds = self._frames, 0
            self._flags, self._levels = [], []
        if self._sounds or is_speech:
            self._flags.append(is_speech)
            self._levels.append(level)
        self._frames += 1
        if is_speech:
            self._sounds, self._last = self._sounds + 1, self._frames
            if self._start is None and self._sounds >= self._least:
                self._start = max(self._end, self._first - self._before)

    def _ended(self, start: int) -> Span:
        """The span that goes on ends, with what belongs to its last sound."""
        self._end, self._start, self._sounds = self._last + self._behind, None, 0
        self._flags, self._levels = [], []
        return Span(start * self._step, self._end * self._step)

    def _cut(self, start: int) -> Span:
        """The span that goes on has become too long: its beginning, up to a pause or to where it is quietest."""
        at = max(self._first, start + self._shortest)
        at += _quietest(self._flags[at - self._first :], self._levels[at - self._first :], self._quiet)
        del self._flags[: at - self._first], self._levels[: at - self._first]
        self._first = self._start = self._end = at
        return Span(start * self._step, at * self._step)


def _quietest(flags: Sequence[bool], levels: Sequence[float], size: int) -> int:
    """The middle of the longest pause of at least `size` frames, else of the `size` frames with the least power."""
    edges = np.flatnonzero(np.diff(np.concatenate(([True], flags, [True]))))
    begins, ends = edges[::2], edges[1::2]
    if len(begins) and (ends - begins).max() >= size:
        longest = int((ends - begins).argmax())
        return int(begins[longest] + ends[longest]) // 2
    size = min(size, len(levels))
    sums = np.cumsum(np.concatenate(([0.0], 10 ** (np.asarray(levels) / 10))))
    return int((sums[size:] - sums[:-size]).argmin()) + size // 2


def speech_spans(
    samples: Waveform, rate: int, options: SpeechOptions = SpeechOptions(), activity: Activity | None = None
) -> list[Span]:
    """The spans of speech of a whole recording [samples] at `rate` Hz, in order."""
    detector = SpeechDetector(rate, options, activity)
    return [*detector.feed(samples), *detector.finish()]
