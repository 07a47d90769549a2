"""Streams where sound comes in one thread and texts are wanted in another, or in asyncio."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, TypeAlias

from ..errors import ArgumentError
from .events import Event
from .stream import LiveStream

OnEvent: TypeAlias = Callable[[Event], None]
BEHIND = 0.6  # seconds of lag beyond which partial texts are left out
END = None


class Session:
    """A stream that many threads may feed, as the callback of a sound card does; a thread of its own runs the model.

    Events come by iteration, which ends after `finish`, or are given to `on_event` in that thread. `feed` only takes
    samples in and returns at once. If the model is too slow, nothing is dropped: `lag` grows, partial texts are left
    out, and final ones come later.

    Leaving a `with` block finishes the stream and waits for the last events.
    """

    def __init__(
        self, stream: LiveStream, on_event: OnEvent | None = None, on_end: Callable[[], None] | None = None
    ) -> None:
        """With `on_event`, there is nothing to iterate over. `on_end` is called behind the last event, in any case."""
        self._stream, self._on_event, self._on_end = stream, on_event, on_end
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._told: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._is_finishing = self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="edgespeech-live", daemon=True)
        self._thread.start()

    @property
    def lag(self) -> float:
        """Seconds of sound that came and were not worked on yet."""
        return self._stream.lag

    def feed(self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None) -> None:
        """Take the next samples, see `Stream.feed`.

        Raises AudioError for samples that cannot be used, ArgumentError when the session is finished, and what the
        model failed with.
        """
        with self._lock:
            self._require_running()
            self._stream.accept(samples, sampling_rate, time=time)
        self._wake.set()

    def finish(self, wait: bool = True) -> None:
        """Nothing follows. With `wait`, return when the last event was told. Raises what the model failed with."""
        with self._lock:
            self._is_finishing = True
        self._wake.set()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()
            self._raise()

    def __iter__(self) -> Iterator[Event]:
        """Events as they come, until the stream is finished. Raises what the model failed with."""
        if self._on_event is not None:
            raise ArgumentError("the events of this session go to on_event: leave that out to iterate over them")
        while not self._has_ended:
            event = self._told.get()
            if event is END:
                self._told.put(END)  # for others who wait
                self._has_ended = True
            else:
                yield event
        self._raise()

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.finish(wait=False)

    def _run(self) -> None:
        tell = self._told.put if self._on_event is None else self._on_event
        try:
            while True:
                self._wake.wait()
                self._wake.clear()
                is_last = self._is_finishing  # before the work: what comes behind it wakes again
                while self._stream.lag:
                    for event in self._stream.process(partials=self._stream.lag < BEHIND, most=1):
                        tell(event)
                if is_last:
                    for event in self._stream.finish():
                        tell(event)
                    break
        except BaseException as error:  # it belongs to who feeds and who reads
            self._error = error
        finally:
            self._told.put(END)
            if self._on_end is not None:
                self._on_end()

    def _require_running(self) -> None:
        self._raise()
        if self._is_finishing:
            raise ArgumentError("the session is finished: open another")

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


class AsyncSession:
    """The same in asyncio: `feed` returns at once, `async for event in session`, `await session.finish()`.

    Leaving an `async with` block finishes the stream. It is made where a loop runs.
    """

    def __init__(self, stream: LiveStream) -> None:
        self._loop = asyncio.get_running_loop()
        self._told: asyncio.Queue[Event | None] = asyncio.Queue()
        self._session = Session(stream, self._tell, lambda: self._tell(END))

    @property
    def lag(self) -> float:
        """See `Session.lag`."""
        return self._session.lag

    def feed(self, samples: Any, sampling_rate: float | None = None, *, time: float | None = None) -> None:
        """See `Session.feed`."""
        self._session.feed(samples, sampling_rate, time=time)

    async def finish(self, wait: bool = True) -> None:
        """See `Session.finish`."""
        self._session.finish(wait=False)
        if wait:
            await asyncio.to_thread(self._session.finish)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """See `Session.__iter__`."""
        while (event := await self._told.get()) is not END:
            yield event
        self._told.put_nowait(END)  # for others who wait
        await self.finish()  # which raises what the model failed with

    async def __aenter__(self) -> "AsyncSession":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.finish(wait=error is None)

    def _tell(self, event: Event | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._told.put_nowait, event)
