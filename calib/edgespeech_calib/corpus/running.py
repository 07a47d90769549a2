"""A run: chunks to workers, rows to shards, until all shards are there. What it holds does not grow with the corpus.

A worker that is lost costs its chunk, which runs again; a chunk that loses worker after worker runs entry by entry, and
an entry that does so is a row with its error.
"""

import pickle
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edgespeech_calib.corpus.entries import Corpus, Entry
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.output import Output, Summary
from edgespeech_calib.corpus.rows import Row, failure
from edgespeech_calib.corpus.shards import Chunk, Plan, chunks, windows
from edgespeech_calib.corpus.worker import Rows
from edgespeech_calib.corpus.workers.pool import Finished, Pool

LOST = 10  # workers that a chunk, or an entry alone, may lose: those that are killed from outside are not its fault
SPOOLED = 2**22  # bytes of the rows of a shard that are held in memory
RECORD = 5.0  # seconds between two updates of run.json
WAIT = 0.5  # seconds between two looks at what progress has to say


@dataclass(frozen=True)
class Progress:
    """How far a run is: rows, of how many, seconds of sound, seconds since the first row could come."""

    rows: int
    total: int
    audio_seconds: float
    seconds: float

    @property
    def real_time_factor(self) -> float | None:
        """Seconds that a second of sound takes, of all workers together; None where nothing has been run."""
        return self.seconds / self.audio_seconds if self.audio_seconds else None

    @property
    def left(self) -> float | None:
        """Seconds until the end, if it goes on like this."""
        return self.seconds / self.rows * (self.total - self.rows) if self.rows else None


OnProgress = Callable[[Progress], object]
OnLost = Callable[[Chunk, str], object]  # what a worker ran when it was lost, and how that was


class _Open:
    """A shard of which rows are there, and how many are to come. Rows lie in a file where they are many."""

    def __init__(self, missing: int) -> None:
        self.missing, self.seconds = missing, 0.0
        self._file = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115  # closed by `rows`
        self._lines, self._offsets = array("q"), array("q")

    def add(self, rows: Rows) -> None:
        self.missing -= len(rows.rows)
        self.seconds += rows.seconds
        for row in rows.rows:
            self._lines.append(row.line)
            self._offsets.append(self._file.tell())
            pickle.dump(row, self._file)

    def rows(self) -> Iterator[Row]:
        """All of them, in the order of their lines; then there are none."""
        with self._file:
            for _, offset in sorted(zip(self._lines, self._offsets, strict=True)):
                self._file.seek(offset)
                yield pickle.load(self._file)  # noqa: S301  # written above


class Run:
    """Writes the shards of a plan that are not there yet.

    Attributes:
        total: entries of the shards to be written.
        summary: of the plan's shards that are there.
    """

    def __init__(self, corpus: Corpus, plan: Plan, output: Output, job: Job) -> None:
        self._plan, self._output, self._job = plan, output, job
        done = set(output.done(plan.shards))
        self.summary = sum((output.summary(shard) for shard in plan.chosen if shard in done), Summary())
        self._missing = set(plan.chosen) - done
        self.total = sum(stop - start for start, stop in map(plan.bounds, self._missing))
        self._open: dict[int, _Open] = {}
        self._waiting = self._chunks(windows(iter(corpus), plan, self._missing))
        self._again: deque[Chunk] = deque()
        self._running, self._has_more = 0, True
        self._began: float | None = None
        self._recorded = time.monotonic()
        self._rows, self._audio = 0, 0.0

    @property
    def missing(self) -> int:
        """How many shards there are to be written."""
        return len(self._missing)

    def run(
        self,
        pool: Pool,
        on_progress: OnProgress = lambda progress: None,
        on_lost: OnLost = lambda chunk, reason: None,
    ) -> Summary:
        """Write them all. Returns what all shards of the plan are. Raises as `Pool`, and OSError."""
        while self._running or self._again or self._has_more:
            self._submit(pool)
            found = pool.wait(WAIT)
            self._running -= len(found)
            self._submit(pool)  # so that workers are not idle while rows are written
            for finished in found:
                if finished.rows is None:
                    on_lost(finished.chunk, finished.reason)
                    self._run_again(finished)
                else:
                    self._take(finished.chunk.shard, finished.rows)
            on_progress(self.progress())
        self._output.record()
        return self.summary

    def progress(self) -> Progress:
        """How far it is."""
        seconds = 0.0 if self._began is None else time.monotonic() - self._began
        return Progress(self._rows, self.total, self._audio, seconds)

    def _submit(self, pool: Pool) -> None:
        """Give every idle worker a chunk, as long as there are any."""
        while pool.idle and (chunk := self._next()) is not None:
            self._began = self._began or time.monotonic()
            self._running += 1
            pool.submit(chunk)

    def _next(self) -> Chunk | None:
        if self._again:
            return self._again.popleft()
        chunk = next(self._waiting, None)
        self._has_more = chunk is not None
        return chunk

    def _chunks(self, shards: Iterator[tuple[int, list[Entry]]]) -> Iterator[Chunk]:
        for shard, entries in shards:
            if shard not in self._open:
                start, stop = self._plan.bounds(shard)
                self._open[shard] = _Open(stop - start)
            if not entries:
                self._close(shard)
            yield from chunks(shard, entries, self._job.batch_size)

    def _run_again(self, lost: Finished) -> None:
        """A chunk whose worker was lost: as it was; or, if that goes on and on, each of its entries alone."""
        chunk = replace(lost.chunk, lost=lost.chunk.lost + 1)
        if chunk.lost < LOST:
            self._again.append(chunk)
        elif len(chunk.entries) > 1:
            self._again.extend(Chunk(chunk.shard, (entry,)) for entry in chunk.entries)
        else:
            (entry,) = chunk.entries
            error = f"{entry.id}: {chunk.lost} workers were lost while they ran it ({lost.reason})"
            self._take(chunk.shard, Rows([failure(entry, error, self._job.method)], 0.0))

    def _take(self, shard: int, rows: Rows) -> None:
        opened = self._open[shard]
        opened.add(rows)
        self._rows += len(rows.rows)
        self._audio += sum(row.values["duration"] or 0.0 for row in rows.rows)
        if not opened.missing:
            self._close(shard)

    def _close(self, shard: int) -> None:
        """Write a shard of which all rows are there."""
        opened = self._open.pop(shard)
        self.summary += self._output.write(shard, opened.rows(), opened.seconds)
        if time.monotonic() - self._recorded >= RECORD:
            self._output.record()
            self._recorded = time.monotonic()
