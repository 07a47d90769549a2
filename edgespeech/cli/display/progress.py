"""Progress on stderr, all of it: alive on a terminal, plain lines elsewhere, nothing where it was asked to be quiet."""

import sys
import time
from types import TracebackType
from typing import Any

from edgespeech_runtime.cli.display.progress import Counter


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


class RichCounter(Counter):
    """The counter of files as rich shows it."""

    _progress: Any = None

    def open(self) -> None:
        """See `Counter.open`."""
        if self._progress is None:
            from rich.progress import MofNCompleteColumn, SpinnerColumn, TimeElapsedColumn

            columns = (SpinnerColumn("line"), self.doing, MofNCompleteColumn(), "{task.description}")
            self._progress = _display(*columns, TimeElapsedColumn())
            self._progress.add_task("", total=self.total)
        self.draw()
        self._progress.start()

    def draw(self) -> None:
        """See `Counter.draw`."""
        self._progress.update(self._progress.task_ids[0], completed=self.done, description=self.part_bar)

    def close(self) -> None:
        """See `Counter.close`."""
        self._progress.stop()
