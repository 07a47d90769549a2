"""Streams of encoder-decoders: speech is cut in its pauses, and each part is written down when it is complete.

Such a model reads a part as a whole, so there is no text of a part before its end; then its text comes piece by piece.
What was written stays.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, get_args

import numpy as np

from ..engines.calls import Calls
from ..errors import ArgumentError
from ..long.activity import Activity
from ..long.parts import Part, PartCutter
from ..long.speech import SpeechOptions
from ..text.joining import JoinedStream, joined
from .endpoints import Endpoints
from .events import Event, EventKind, Reason
from .intake import Clock, Waveform
from .plan import LatencyName
from .stream import LiveStream, Tell

GRID = 0.05  # seconds: rules are looked at so often, at samples that do not depend on how they are fed
BEFORE, BEHIND = 0.3, 0.5  # seconds of the sound around speech that a part has, in shorter pauses less
PAUSES: dict[str, float] = {"low": 0.5, "balanced": 0.8, "high": 1.2}  # by latency: seconds that end a part
LEAST, MOST = 200, 5000  # milliseconds
LONGEST = 20.0  # seconds of a part
SHORTEST = 5.0  # seconds before which too long a part is not cut

OnPiece: TypeAlias = Callable[[str], None]


class Writer(Protocol):
    """Runs the model on the samples [samples] of a part: calls `on_piece` with each piece of its text, returns it all.

    It may fail, and is called again then.
    """

    def __call__(self, samples: Waveform, on_piece: OnPiece, /) -> str:
        """See the class."""


@dataclass(frozen=True)
class Recipe:
    """What all stretches of a stream share; `rate` in Hz. `on_text` takes the text of the whole stream, in pieces."""

    rate: int
    options: SpeechOptions
    endpoints: Endpoints
    write: Writer
    activity: Callable[[], Activity] | None = None
    on_text: OnPiece | None = None
    stream: JoinedStream = field(default_factory=JoinedStream)


@dataclass
class Utterance:
    """What is written of the utterance that goes on, and from which sample to which it was said."""

    text: str = ""
    start: int = 0
    end: int = 0
    shown: tuple[str, str] = ("", "")  # committed and whole text of its last partial


class PartCaptioner:
    """The machine (`stream.Machine`) of a model that writes text of a part."""

    def __init__(self, recipe: Recipe, clock: Clock, number: int, tell: Tell) -> None:
        """`number` is that of the first utterance; `tell` takes events."""
        self.number = number
        self._recipe, self._clock, self._tell = recipe, clock, tell
        self._cutter = PartCutter(recipe.rate, recipe.options, recipe.activity and recipe.activity())
        self._grid = max(1, round(GRID * recipe.rate))
        self._waiting = np.zeros(0, np.float32)  # samples that do not fill the grid yet
        self._begin = 0  # sample where the utterance may begin
        self._end: int | None = None  # sample where its last part ended; None where it has none
        self._is_finished = False
        self._work: deque[Part | Reason] = deque()  # to be done in this order; a reason ends an utterance
        self._utterance = Utterance()
        self._given = 0  # letters of the part that is being written which were given to `on_text`

    def add(self, samples: Waveform) -> None:
        """See `Machine.add`."""
        self._waiting = np.concatenate((self._waiting, samples))

    def work(self, partials: bool) -> None:
        """See `Machine.work`; a partial is what is written of a part so far."""
        while len(self._waiting) >= self._grid:
            parts = self._cutter.feed(self._waiting[: self._grid])
            self._waiting = self._waiting[self._grid :]
            self._plan(parts)
        self._write(partials)

    def finish(self, reason: Reason) -> None:
        """See `Machine.finish`."""
        if not self._is_finished:
            self._work.extend([*self._cutter.feed(self._waiting), *self._cutter.finish(), reason])
            self._is_finished = True
        self._write(partials=False)

    def _plan(self, parts: list[Part]) -> None:
        """Note the parts that are complete, and whether a rule ends the utterance."""
        self._work.extend(parts)
        if parts:
            self._end = parts[-1].end
        detector, rate = self._cutter.detector, self._recipe.rate
        now, speech = detector.decided, detector.start
        behind = round(self._recipe.options.behind * rate)
        quiet_since = self._begin if self._end is None else max(self._begin, self._end - behind)
        silence = now - quiet_since if speech is None else detector.silence
        has_speech = self._end is not None
        reason = self._recipe.endpoints.fired(
            (now - self._begin) / rate, silence / rate, has_speech or speech is not None
        )
        if reason is None or (speech is not None and not has_speech):  # a part that is too long is cut before
            return
        if has_speech:
            self._work.append(reason)
        self._begin, self._end = now if speech is None else speech, None

    def _write(self, partials: bool) -> None:
        """Do what is to be done; what fails is done again the next time."""
        while self._work:
            item = self._work[0]
            if isinstance(item, Part):
                self._write_part(item, partials)
            else:
                self._finish_utterance(item)
            self._work.popleft()

    def _write_part(self, part: Part, partials: bool) -> None:
        before, written = self._utterance, ""

        def on_piece(piece: str) -> None:
            nonlocal written
            written += piece
            self._give(written)
            whole = joined([before.text, written])
            if partials and len(whole) > len(before.text):
                committed = whole[: max(len(before.text), whole.rfind(" "))]
                self._show(committed, whole, start, part.end)

        start = before.start if before.text else part.start
        text = joined([before.text, self._recipe.write(part.samples, on_piece)])
        self._recipe.stream.end()
        self._given = 0
        if text != before.text:
            self._utterance = Utterance(text, start, part.end, before.shown)
            if partials:
                self._show(text, text, start, part.end)

    def _give(self, written: str) -> None:
        """Call `on_text` with what is new of the text of a part."""
        if self._recipe.on_text is not None and (text := self._recipe.stream.add(written[self._given :])):
            self._recipe.on_text(text)
        self._given = max(self._given, len(written))

    def _show(self, committed: str, text: str, start: int, end: int) -> None:
        """A partial, if it says something new."""
        utterance = self._utterance
        if len(text) > len(utterance.shown[1]) or len(committed) > len(utterance.shown[0]):
            utterance.shown = (committed, text)
            self._tell(self._event("partial", committed, text, start, end))

    def _finish_utterance(self, reason: Reason) -> None:
        utterance, self._utterance = self._utterance, Utterance()
        if utterance.text:
            self._tell(self._event("final", utterance.text, utterance.text, utterance.start, utterance.end, reason))
            self.number += 1

    def _event(
        self, kind: EventKind, committed: str, text: str, start: int, end: int, reason: Reason | None = None
    ) -> Event:
        times = self._clock.seconds(start), self._clock.seconds(end)
        return Event(
            kind, text, *times, committed=committed, tentative=text[len(committed) :], utterance=self.number,
            reason=reason,
        )  # fmt: skip


def open_stream(
    rate: int,
    longest: float,
    write: Writer,
    latency: object,
    endpoints: Endpoints,
    sampling_rate: float | None,
    activity: Callable[[], Activity] | None,
    on_text: OnPiece | None,
    calls: Calls,
) -> LiveStream:
    """A stream of a model at `rate` Hz that takes parts of at most `longest` seconds.

    Raises ArgumentError and AudioError for options that are not what they should be.
    """
    rules = [seconds for seconds in (endpoints.without_speech, endpoints.after_speech) if seconds is not None]
    pause = min(_pause(latency), *rules)
    longest = min(longest, endpoints.longest, LONGEST)
    before, behind = min(BEFORE, 0.375 * pause, longest / 8), min(BEHIND, 0.625 * pause, longest / 8)
    options = SpeechOptions(pause, before, behind, longest, min(SHORTEST, longest / 4))
    recipe = Recipe(rate, options, endpoints, write, activity, on_text)

    def machine(clock: Clock, number: int, tell: Tell) -> PartCaptioner:
        return PartCaptioner(recipe, clock, number, tell)

    return LiveStream(machine, rate, sampling_rate, calls)


def _pause(latency: object) -> float:
    """The seconds without speech that `latency` stands for. Raises ArgumentError."""
    if isinstance(latency, str) and latency in PAUSES:
        return PAUSES[latency]
    is_number = isinstance(latency, int | float) and not isinstance(latency, bool)
    if not is_number or not LEAST <= latency <= MOST:  # type: ignore[operator]  # it is a number
        names = ", ".join(map(repr, get_args(LatencyName)))
        raise ArgumentError(f"latency: expected {names}, or {LEAST} to {MOST} milliseconds, got {latency!r}")
    return latency / 1000  # type: ignore[operator]
