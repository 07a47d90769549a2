"""Signals that ask the program to stop, as an exception that lets everything clean up behind itself."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # those that this system has
REPEAT = 2.0  # seconds; terminals and process managers send the same request to a group more than once


class Interrupted(BaseException):
    """The process was asked to stop. No Exception: nothing on the way may take it for an error of its own."""

    outcome = ""  # what this means for the command's files, to be read behind "interrupted"

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.exit_code = 128 + number  # as shells report it


class Interrupts:
    """While it is entered, the first signal raises Interrupted in the main thread; repetitions do not disturb it."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._last = float("-inf")

    def __enter__(self) -> "Interrupts":
        for name in NAMES:
            if hasattr(signal, name):
                number = getattr(signal, name)
                if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` stays in force
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last < REPEAT:
            return
        self._last = now
        raise Interrupted(number)
