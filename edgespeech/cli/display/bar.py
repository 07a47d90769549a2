"""A bar on stderr with the time that is left: on a terminal only, and not where it was asked to be quiet."""

import sys
from types import TracebackType
from typing import Any


class Bar:
    """Shows how much of a long work is done: `bar(what, done, total)`, in bytes or in pieces."""

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
            from rich.console import Console

            done = progress.DownloadColumn() if self._in_bytes else progress.MofNCompleteColumn()
            self._progress = progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(),
                done,
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
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
            self._progress.add_task(what, total=total)
            self._what = what
        self._progress.update(self._progress.task_ids[0], completed=done, total=total)

    def say(self, line: str) -> None:
        """Print a line above the bar, where there is one."""
        if self._progress is not None:
            self._progress.console.print(line, markup=False, highlight=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
