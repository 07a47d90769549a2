"""Progress of a run over a corpus on stderr: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgespeech_runtime.cli.display.progress import minutes

from edgespeech.cli.errors import complain

if TYPE_CHECKING:
    from edgespeech_calib.corpus.running import Progress
    from edgespeech_calib.corpus.shards import Chunk

LINES = 10.0  # seconds between two lines


class CorpusProgress:
    """Says how many recordings are done, what a second of sound takes, and how long the rest will take."""

    def __init__(self, doing: str, quiet: bool = False) -> None:
        self._doing, self._quiet = doing, quiet
        self._bar: Any = None
        self._said = time.monotonic()

    def __enter__(self) -> "CorpusProgress":
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (TextColumn(self._doing), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._bar.add_task("starting workers", total=None)
            self._bar.start()
        return self

    def __call__(self, progress: "Progress") -> None:
        """Show how far a run is."""
        if self._quiet:
            return
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=progress.rows, total=progress.total, description=rates(progress))
        elif time.monotonic() - self._said >= LINES:
            self._said = time.monotonic()
            done = f"{progress.rows} of {progress.total} recordings"
            print(f"  {self._doing}: {done}, {rates(progress)}", file=sys.stderr, flush=True)

    def lost(self, chunk: "Chunk", reason: str) -> None:
        """Say that a worker was lost."""
        if not self._quiet:
            complain(f"a worker was lost ({reason}); the {len(chunk.entries)} recordings that it ran are run again")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def rates(progress: "Progress") -> str:
    """`real-time factor 0.0123, 0:45 left`, as far as they are known."""
    factor, left = progress.real_time_factor, progress.left
    if left is None:
        return "starting workers"
    known = [] if factor is None else [f"real-time factor {factor:.4f}"]
    return ", ".join([*known, f"{minutes(left)} left"])
