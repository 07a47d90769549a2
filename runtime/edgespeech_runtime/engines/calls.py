"""Calls that can be ended while an engine computes: from another thread, or by a signal.

An engine computes in a language of its own, where Python's handlers of signals wait until it returns. Here a thread is
woken by the signal at once and asks the engine to stop; then the handler runs, and what it raises ends the call. Where
it raises nothing, the engine runs again, as if nothing had been.
"""

import contextlib
import functools
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..errors import CancelledError
from .forks import watch

STOPPING = tuple(
    int(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
ResultT = TypeVar("ResultT")
MethodT = TypeVar("MethodT", bound=Callable[..., Any])


class Call:
    """One call of a model, in one thread: whether it is to end, and what stops the engine that computes for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None
        self._is_cancelled = False
        self._is_interrupted = False

    def cancel(self) -> None:
        """End it, from any thread."""
        with self._lock:
            self._is_cancelled = True
            self._ask()

    def interrupt(self) -> None:
        """Stop the engine, so that the handlers of signals can run."""
        with self._lock:
            self._is_interrupted = self._stop is not None
            self._ask()

    def _ask(self) -> None:
        if self._stop is not None:
            self._stop()

    @property
    def is_stopping(self) -> bool:
        """Whether what computes now is to stop."""
        return self._is_cancelled or self._is_interrupted

    def require(self) -> None:
        """Raise CancelledError where it was cancelled."""
        if self._is_cancelled:
            raise CancelledError

    def run(self, prepare: Callable[[], tuple[Callable[[], ResultT], Callable[[], None]]]) -> ResultT:
        """What an engine computes. `prepare` gives what runs it and what stops it; both serve one run."""
        while True:
            work, stop = prepare()
            with self._lock:
                self.require()
                self._stop, self._is_interrupted = stop, False
            try:
                with _watched(self):
                    result = work()
                self.require()
                if not self._is_interrupted:  # what was stopped at its end may not be whole
                    return result
            except Exception:
                self.require()
                if not self._is_interrupted:
                    raise
            finally:
                with self._lock:
                    self._stop = None
            # Interrupted: the handler has run by now, and has raised nothing.


class Calls:
    """The calls of one model that are running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Call] = set()
        watch(self)

    def after_fork(self) -> None:
        """In a forked process, none of the parent's calls is running."""
        self._lock, self._running = threading.Lock(), set()

    def cancel(self) -> None:
        """End all that are running now."""
        with self._lock:
            for call in self._running:
                call.cancel()

    @contextlib.contextmanager
    def call(self) -> Iterator[Call]:
        """One call in this thread; engines find it as `current()`. One within another is the same call."""
        outer = getattr(_local, "call", None)
        with self._lock:
            if outer in self._running:
                call = outer
            else:
                call = Call()
                self._running.add(call)
        _local.call = call
        try:
            yield call
        finally:
            _local.call = outer
            if call is not outer:
                with self._lock:
                    self._running.discard(call)


_local = threading.local()


def current() -> Call:
    """The call that this thread runs."""
    call: Call | None = getattr(_local, "call", None)
    return Call() if call is None else call


def running(call: Call, work: Callable[[], ResultT]) -> ResultT:
    """What `work` returns; to it, and to engines that it uses, `call` is the one that this thread runs."""
    outer, _local.call = getattr(_local, "call", None), call
    try:
        call.require()
        return work()
    finally:
        _local.call = outer


def require_running() -> None:
    """Raise CancelledError where this thread's call was cancelled."""
    current().require()


class _Watch:
    """A thread that is woken by signals, and stops the call that the main thread runs."""

    def __init__(self) -> None:
        self._reader, writer = socket.socketpair()
        writer.setblocking(False)
        self.writer, self.process = writer, os.getpid()
        self.call: Call | None = None
        threading.Thread(target=self._wait, name="edgespeech-signals", daemon=True).start()

    def _wait(self) -> None:
        while numbers := self._reader.recv(64):
            call = self.call
            if call is not None and any(number in STOPPING for number in numbers):
                call.interrupt()


_watch: _Watch | None = None


@contextlib.contextmanager
def _watched(call: Call) -> Iterator[None]:
    """Watch for signals in the main thread, where Python handles them, unless somebody else does (asyncio)."""
    if threading.current_thread() is not threading.main_thread() or not _are_handled():
        yield
        return
    global _watch
    if _watch is None or _watch.process != os.getpid():  # a forked process has none of its parent's threads
        _watch = _Watch()
    watch, before = _watch, signal.set_wakeup_fd(-1)
    if before != -1:
        signal.set_wakeup_fd(before)
        yield
        return
    watch.call = call
    signal.set_wakeup_fd(watch.writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        watch.call = None


def _are_handled() -> bool:
    """Whether a signal that asks to stop has a handler in Python; others end the process, or are not meant to."""
    handlers: list[Any] = [signal.getsignal(number) for number in STOPPING]
    return any(callable(handler) for handler in handlers)


def cancellable(method: MethodT) -> MethodT:
    """Make a method of a model one call, which `Model.cancel` ends."""

    @functools.wraps(method)
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        with self.calls.call():
            return method(self, *arguments, **options)

    return call  # type: ignore[return-value]  # it takes and gives the same
