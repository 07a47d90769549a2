"""How many files are done, on stderr: a line that moves on a terminal, plain lines elsewhere, nothing where quiet."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from .terminal import ERASE_LINE, enable_escapes, fitted

PART_WIDTH = 20  # characters of a bar for what is done of a long recording
FIRST_LINE, NEXT_LINE = 5.0, 10.0  # seconds to wait for lines of a counter where there is no terminal
CounterT = TypeVar("CounterT", bound="Counter")


def minutes(seconds: float) -> str:
    """`12:05`, or `1:12:05`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class Counter:
    """How many of `total` files are done, and how much of a long one.

    Subclasses may show it on a terminal in another way: `open`, `draw`, `close`.
    """

    def __init__(self, total: int, quiet: bool = False, doing: str = "transcribing") -> None:
        self.total, self.done = total, 0
        self.doing, self.part_bar = doing, ""
        self._part = ""
        self._quiet, self._is_shown = quiet, False
        self._stopped = threading.Event()
        self._lines: threading.Thread | None = None

    def open(self) -> None:
        """Begin to show the line, on a terminal."""
        enable_escapes(sys.stderr)
        self.draw()

    def draw(self) -> None:
        """Show what has changed."""
        files = f"{self.done}/{self.total}"
        line = f"  {self.doing} {files}{f'  {self.part_bar}' if self.part_bar else ''}"
        print(f"{ERASE_LINE}{fitted(line, sys.stderr)}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the line away."""
        print(ERASE_LINE, end="", file=sys.stderr, flush=True)

    def __enter__(self: CounterT) -> CounterT:
        if self._quiet:
            return self
        if not sys.stderr.isatty():
            self._lines = threading.Thread(target=self._print_lines, daemon=True)
            self._lines.start()
            return self
        self.open()
        self._is_shown = True
        return self

    def _print_lines(self) -> None:
        began, wait = time.monotonic(), FIRST_LINE
        while not self._stopped.wait(wait):
            files = "1 file" if self.total == 1 else f"{self.total} files"
            seconds = time.monotonic() - began
            part = f", {self._part}" if self._part else ""
            print(f"  {self.doing}: {self.done} of {files}{part} in {seconds:.0f} s", file=sys.stderr, flush=True)
            wait = NEXT_LINE

    def part(self, done: float, total: float | None) -> None:
        """Say how much of a long recording is done, in seconds; a total of None is not known."""
        if total:
            share = min(done / total, 1.0)
            filled = round(share * PART_WIDTH)
            self._part = f"{minutes(done)} of {minutes(total)} ({100 * share:.0f} %)"
            self.part_bar = f"{'━' * filled}{'╌' * (PART_WIDTH - filled)} {self._part}"
        else:
            self._part = self.part_bar = minutes(done)
        if self._is_shown:
            self.draw()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Make room for a result to be printed; one more file is done."""
        self.done += 1
        self._part = self.part_bar = ""
        with self.paused():
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Make room for something to be printed."""
        if not self._is_shown:
            yield
            return
        self.close()
        try:
            yield
        finally:
            self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        if self._lines is not None:
            self._lines.join()
        if self._is_shown:
            self.close()
            self._is_shown = False


class Steps:
    """The steps of one long work: a line for each on stderr, when it begins."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    def __enter__(self) -> "Steps":
        return self

    def __call__(self, name: str) -> None:
        """Begin a step."""
        if not self._quiet:
            print(f"  {name}", file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to show."""
