"""The stream that users hold: it takes blocks in, keeps stretches of sound apart, and hands out events.

What is said in a stretch is the business of a machine, of which there is one for each kind of model.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from ..engines.calls import Calls, cancellable
from ..errors import ArgumentError
from .events import Event, Reason
from .intake import Block, Clock, Intake, Piece, Waveform

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
        self._is_finished = False
        self._machine = machine(self._intake.clock, 0, self._events.append)

    @property
    def sampling_rate(self) -> float:
        """See `Stream.sampling_rate`."""
        return self._intake.rate

    @property
    def seconds(self) -> float:
        """See `Stream.seconds`."""
        return self._intake.seconds

    def check(self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None) -> Block:
        """What `feed` would take of these, without taking it; `feed_block` takes it. Raises AudioError."""
        return self._intake.check(samples, sampling_rate, time)

    @cancellable
    def feed(
        self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None, partials: bool = True
    ) -> list[Event]:
        """See `Stream.feed`. Raises AudioError, ArgumentError and EngineError."""
        return self.feed_block(self.check(samples, sampling_rate, time=time), partials)

    @cancellable
    def feed_block(self, block: Block, partials: bool = True) -> list[Event]:
        """The same for samples that `check` has seen."""
        if self._is_finished:
            raise ArgumentError("the stream is finished: open another")
        self._pieces.extend(self._intake.take(block))
        self._work(partials)
        return self._told()

    @cancellable
    def finish(self) -> list[Event]:
        """See `Stream.finish`. Raises EngineError."""
        if not self._is_finished:
            self._pieces.append(Piece(self._intake.flush(), None))
            self._work(partials=False)
            self._machine.finish("finish")
            self._is_finished = True
        return self._told()

    def _work(self, partials: bool) -> None:
        """Give the machine what came, a stretch after the other."""
        self._machine.work(partials and not self._pieces)
        while self._pieces:
            samples, clock = self._pieces[0]
            if clock is not None:
                self._machine.finish("gap")
                self._machine = self._make(clock, self._machine.number, self._events.append)
            self._machine.add(samples)
            self._pieces.popleft()
            self._machine.work(partials and not self._pieces)

    def _told(self) -> list[Event]:
        events = list(self._events)
        self._events.clear()
        return events
