"""The infer requests of a model that OpenVINO has compiled."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from .calls import require_running

TURN = 0.1  # seconds after which a thread that waits for others looks whether its call was cancelled


class Requests:
    """The infer requests of one compiled model, each of which serves one call at a time; idle ones wait for the next.

    Many threads create requests, give them tensors, read outputs and let go of them while others run. Where that
    happened at once, the process was now and then aborted in `create_infer_request` (2026.4). So a model of one stream,
    which runs one request at a time anyway, is used by one thread at a time, and requests are kept for the next call.
    """

    def __init__(self, compiled: Any, outputs: Sequence[str], is_single: bool) -> None:
        self.compiled = compiled
        self.outputs = {name: compiled.output(name) for name in outputs}  # ports, which are faster than names
        self._lock = threading.Lock() if is_single else None
        self._idle: dict[bool, list[Any]] = {True: [], False: []}  # those with tensors of the caller's, and the others

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until no other thread uses the model, where it has one stream. Raises CancelledError."""
        if self._lock is None:
            yield
            return
        while not self._lock.acquire(timeout=TURN):
            require_running()
        try:
            yield
        finally:
            self._lock.release()

    def take(self, is_bound: bool) -> Any:
        """An idle request, or a new one; in a turn."""
        try:
            return self._idle[is_bound].pop()
        except IndexError:
            return self.compiled.create_infer_request()

    def give(self, request: Any, is_bound: bool) -> None:
        """A request that nobody uses any more."""
        self._idle[is_bound].append(request)
