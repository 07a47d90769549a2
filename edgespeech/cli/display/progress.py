"""Progress on stderr: alive on a terminal, plain lines elsewhere, nothing where it was asked to be quiet."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from edgespeech.cli.display.bar import Bar

FIRST_LINE, NEXT_LINE = 5.0, 10.0  # seconds to wait for lines of a counter where there is no terminal


class Steps:
    """The steps of one long work: call it with a step's name when the step begins."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status: Any = None
        self._step: tuple[str, float] | None = None  # name, when it began

    def __enter__(self) -> "Steps":
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False).status("starting", spinner="line")
            self._status.start()
        return self

    def __call__(self, name: str) -> None:
        """Begin a step, which ends the one before."""
        if self._status is not None:
            from rich.markup import escape

            self._finish()
            self._step = (name, time.monotonic())
            self._status.update(escape(name))
        elif not self._quiet:
            print(f"  {name}", file=sys.stderr, flush=True)

    def _finish(self) -> None:
        if self._step is not None:
            name, began = self._step
            self._status.console.print(f"  {name}  {time.monotonic() - began:.1f} s", markup=False)
            self._step = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            if error is None:
                self._finish()
            self._status.stop()


class Stages:
    """The steps of one long work, some of which tell how far they are: a bar with the time left on a terminal.

    Call it with a step's name, how much of it is done and of how much (None: not known).
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = Bar(quiet)
        self._step: tuple[str, float] | None = None  # name, when it began

    def __enter__(self) -> "Stages":
        self._bar.__enter__()
        return self

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Begin a step, which ends the one before, or go on with it."""
        if self._step is None or name != self._step[0]:
            self._finish()
            self._step = (name, time.monotonic())
            if not self._quiet and not self._bar.is_shown:
                print(f"  {name}", file=sys.stderr, flush=True)
        self._bar(name, done, total)

    def _finish(self) -> None:
        if self._step is not None:
            name, began = self._step
            self._bar.say(f"  {name}  {time.monotonic() - began:.1f} s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        self._bar.__exit__(kind, error, trace)


class Counter:
    """How many of `total` files are done: a line that moves on a terminal; elsewhere a plain line now and then."""

    def __init__(self, total: int, quiet: bool = False, doing: str = "transcribing") -> None:
        self._total, self._done = total, 0
        self._doing = doing
        self._quiet = quiet
        self._progress: Any = None
        self._stopped = threading.Event()
        self._lines: threading.Thread | None = None

    def __enter__(self) -> "Counter":
        if self._quiet:
            return self
        if not sys.stderr.isatty():
            self._lines = threading.Thread(target=self._print_lines, daemon=True)
            self._lines.start()
            return self
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

        columns = (SpinnerColumn("line"), self._doing, MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        self._progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._progress.add_task("", total=self._total)
        self._progress.start()
        return self

    def _print_lines(self) -> None:
        began, wait = time.monotonic(), FIRST_LINE
        while not self._stopped.wait(wait):
            files = "1 file" if self._total == 1 else f"{self._total} files"
            seconds = time.monotonic() - began
            print(f"  {self._doing}: {self._done} of {files} in {seconds:.0f} s", file=sys.stderr, flush=True)
            wait = NEXT_LINE

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Make room for a result to be printed; one more file is done."""
        self._done += 1
        if self._progress is None:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.advance(self._progress.task_ids[0])
            self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        if self._lines is not None:
            self._lines.join()
        if self._progress is not None:
            self._progress.stop()
