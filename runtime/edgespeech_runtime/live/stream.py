"""The stream that users hold: it takes blocks in, keeps stretches of sound apart, and hands out events.

What is said in a stretch is the business of a machine, of which there is one for each kind of model.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..engines.calls import Calls, cancellable
from ..errors import ArgumentError
from .events import Event, Reason
from .intake import Clock, Intake, Piece, Waveform

Tell = Callable[[Event], None]


class Machine(Protocol):
    """What makes events of one stretch of sound.

    `work` and `finish` may fail where a model runs; they can be called again then, and go on where they were.
    """

    @property
    def number(self) -> int:
        """That of the utterance that goes on, or of the next one."""

    def add(self, samples: Waveform) -> None:
        """Take more samples, at the model's rate. It does nothing else and does not fail."""

    def work(self, partials: bool) -> None:
        """Tell what is to be told of the samples so far; without `partials`, only what is final."""

    def finish(self, reason: Reason) -> None:
        """Tell the rest: nothing follows."""


class LiveStream:
    """See `Stream`. One thread at a time may use it; `live.Session` is for several.

    Where a model cannot be run (EngineError, CancelledError), the samples stay, and the next call goes on with them.

    Attributes:
        model_rate: of the samples that the model takes, in Hz; others are resampled.
    """

    def __init__(
        self,
        machine: Callable[[Clock, int, Tell], Machine],
        model_rate: int,
        sampling_rate: float | None = None,
        calls: Calls | None = None,
    ) -> None:
        """`machine` makes one for a stretch: of its clock, the number of its first utterance, and what takes events.

        `calls` are those of the model, whose `cancel` ends what runs here too. Raises AudioError for a sampling rate
        that is none.
        """
        self.calls = Calls() if calls is None else calls
        self._make, self._intake = machine, Intake(model_rate, sampling_rate)
        self._pieces: deque[Piece] = deque()
        self._events: list[Event] = []
        self.model_rate, self._accepted, self._worked = model_rate, 0, 0  # Hz, samples, samples
        self._is_finished = self._has_ended = False
        self._machine = machine(self._intake.clock, 0, self._events.append)

    @property
    def sampling_rate(self) -> float:
        """See `Stream.sampling_rate`."""
        return self._intake.rate

    @property
    def seconds(self) -> float:
        """See `Stream.seconds`."""
        return self._intake.seconds

    @property
    def lag(self) -> float:
        """Seconds of sound that were accepted and not worked on yet."""
        return (self._accepted - self._worked) / self.model_rate

    @cancellable
    def feed(
        self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None, partials: bool = True
    ) -> list[Event]:
        """See `Stream.feed`. Raises AudioError, ArgumentError and EngineError."""
        self.accept(samples, sampling_rate, time=time)
        return self.process(partials)

    def accept(self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None) -> None:
        """Take samples as `feed` does, and do no more. It takes no time, and another thread may `process` meanwhile."""
        if self._is_finished:
            raise ArgumentError("the stream is finished: open another")
        self._put(self._intake.take(self._intake.check(samples, sampling_rate, time)))

    @cancellable
    def process(self, partials: bool = True, most: int | None = None) -> list[Event]:
        """Work on what was accepted, `most` pieces of it (None: all), and return what is told.

        A piece is half a second at most.
        """
        self._work(partials, most)
        return self._told()

    @cancellable
    def finish(self) -> list[Event]:
        """See `Stream.finish`. Raises EngineError."""
        if not self._is_finished:
            self._put([Piece(self._intake.flush(), None)])
            self._is_finished = True
        self._work(partials=False, most=None)
        if not self._has_ended:
            self._machine.finish("finish")
            self._has_ended = True
        return self._told()

    def _put(self, pieces: list[Piece]) -> None:
        self._accepted += sum(len(piece.samples) for piece in pieces)
        self._pieces.extend(pieces)

    def _work(self, partials: bool, most: int | None) -> None:
        """Give the machine what came, a stretch after the other."""
        self._machine.work(partials and not self._pieces)  # what could not be run before
        while self._pieces and most != 0:
            samples, clock = self._pieces[0]
            if clock is not None:
                self._machine.finish("gap")
                self._machine = self._make(clock, self._machine.number, self._events.append)
                self._pieces[0] = Piece(samples, None)
            self._machine.add(samples)
            self._pieces.popleft()
            most = None if most is None else most - 1
            self._machine.work(partials and (not self._pieces or most == 0))
            self._worked += len(samples)

    def _told(self) -> list[Event]:
        events = list(self._events)
        self._events.clear()
        return events
