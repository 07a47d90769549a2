"""Progress on stderr, all of it: alive on a terminal, plain lines elsewhere, nothing where it was asked to be quiet."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

PART_WIDTH = 20  # characters of a bar for what is done of a long recording
FIRST_LINE, NEXT_LINE = 5.0, 10.0  # seconds to wait for lines of a counter where there is no terminal


def _display(*columns: Any) -> Any:
    """rich's display of these columns, which vanishes at its end and leaves what is printed alone."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


class Bar:
    """Shows how much of a long work is done and the time that is left, on a terminal only.

    Call it as `bar(what, done, total)`, in bytes or in pieces.
    """

    def __init__(self, quiet: bool = False, in_bytes: bool = False) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._in_bytes = in_bytes
        self._progress: Any = None
        self._what: str | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal that shows it."""
        return not self._quiet

    def __enter__(self) -> "Bar":
        if not self._quiet:
            from rich import progress

            amount = progress.DownloadColumn() if self._in_bytes else progress.TextColumn("{task.fields[amount]}")
            self._progress = _display(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                amount,
                progress.TimeRemainingColumn(),
            )
            self._progress.start()
        return self

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Say how far `what` is; another `what` begins a bar of its own. A total of None is not known yet."""
        if self._progress is None:
            return
        if what != self._what:
            for task in self._progress.task_ids:
                self._progress.remove_task(task)
            self._progress.add_task(what, total=total, amount="")
            self._what = what
        amount = f"{done}/{total}" if total is not None else f"{done or ''}"
        self._progress.update(self._progress.task_ids[0], completed=done, total=total, amount=amount)

    def say(self, line: str) -> None:
        """Print a line above the bar, where there is one."""
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


class Steps:
    """The steps of one long work: a bar on a terminal, and a line with the seconds of each step that is done.

    Call it with a step's name, and where that is known with how much of the step is done and of how much.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar = Bar(quiet)
        self._step: tuple[str, float] | None = None  # name, when it began

    def __enter__(self) -> "Steps":
        self._bar.__enter__()
        return self

    def __call__(self, name: str, done: int = 0, total: int | None = None) -> None:
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


def minutes(seconds: float) -> str:
    """`12:05`, or `1:12:05`."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


class Counter:
    """How many of `total` files are done: a line that moves on a terminal; elsewhere a plain line now and then."""

    def __init__(self, total: int, quiet: bool = False, doing: str = "transcribing") -> None:
        self._total, self._done = total, 0
        self._doing, self._part = doing, ""
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
        from rich.progress import MofNCompleteColumn, SpinnerColumn, TimeElapsedColumn

        columns = (SpinnerColumn("line"), self._doing, MofNCompleteColumn(), "{task.description}", TimeElapsedColumn())
        self._progress = _display(*columns)
        self._progress.add_task("", total=self._total)
        self._progress.start()
        return self

    def _print_lines(self) -> None:
        began, wait = time.monotonic(), FIRST_LINE
        while not self._stopped.wait(wait):
            files = "1 file" if self._total == 1 else f"{self._total} files"
            seconds = time.monotonic() - began
            part = f", {self._part}" if self._part else ""
            print(f"  {self._doing}: {self._done} of {files}{part} in {seconds:.0f} s", file=sys.stderr, flush=True)
            wait = NEXT_LINE

    def part(self, done: float, total: float | None) -> None:
        """Say how much of a long recording is done, in seconds; a total of None is not known."""
        if total:
            share = min(done / total, 1.0)
            filled = round(share * PART_WIDTH)
            self._part = f"{minutes(done)} of {minutes(total)} ({100 * share:.0f} %)"
            bar = f"{'━' * filled}{'╌' * (PART_WIDTH - filled)} {self._part}"
        else:
            self._part = bar = minutes(done)
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], description=bar)

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Make room for a result to be printed; one more file is done."""
        self._done += 1
        self._part = ""
        with self.paused():
            yield
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], advance=1, description="")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Make room for something to be printed."""
        if self._progress is None:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        if self._lines is not None:
            self._lines.join()
        if self._progress is not None:
            self._progress.stop()
