"""Workers as processes of this machine: an executor of Python's own with one process for each.

One executor with several processes would end them all where one is lost.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

from edgespeech_calib.corpus.entries import Entry
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.shards import Chunk
from edgespeech_calib.corpus.worker import Rows
from edgespeech_calib.corpus.workers.pool import LOADS, Finished, Server
from edgespeech_calib.errors import CorpusError

_server: Server | None = None  # of this process, where it is a worker's


def _begin(job: Job, alive: "Connection[Any, Any]") -> None:
    """In a worker's process: end with the process that started it, however that ends."""
    global _server  # what a process is for
    _server = Server(job)

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            alive.recv()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _load() -> str | None:
    return _server.load() if _server is not None else "the worker has not begun"


def _run(entries: tuple[Entry, ...]) -> Rows | str:
    return _server.run(entries) if _server is not None else "the worker has not begun"


class _Process:
    """A process, what it does, and the pipe by whose end it ends."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        alive, self._end = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(1, context, _begin, (job, alive))
        self.chunk: Chunk | None = None
        with _without_interrupts():
            self.future: Future[Any] | None = self._executor.submit(_load)
        alive.close()  # the process has its own

    def submit(self, chunk: Chunk) -> None:
        self.chunk = chunk
        try:
            self.future = self._executor.submit(_run, tuple(chunk.entries))
        except BrokenProcessPool as error:  # it was lost while it had nothing to do
            self.future = Future()
            self.future.set_exception(error)

    def close(self) -> None:
        self._end.close()
        self._executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let a process that is started here never see Ctrl-C, which a terminal sends to all: this process ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class LocalPool:
    """Processes of this machine. See `Pool`."""

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._processes = [_Process(job) for _ in range(count)]
        self._lost = 0  # processes in a row while they loaded the model

    @property
    def idle(self) -> int:
        """See `Pool.idle`."""
        return sum(process.future is None for process in self._processes)

    @property
    def busy(self) -> int:
        """See `Pool.busy`."""
        return len(self._processes) - self.idle

    def submit(self, chunk: Chunk) -> None:
        """See `Pool.submit`."""
        next(process for process in self._processes if process.future is None).submit(chunk)

    def wait(self, seconds: float) -> list[Finished]:
        """See `Pool.wait`."""
        wait([process.future for process in self._processes if process.future], seconds, FIRST_COMPLETED)
        found = []
        for index, process in enumerate(self._processes):
            if process.future is not None and process.future.done():
                finished = self._finished(index, process, process.future)
                found += [] if finished is None else [finished]
        return found

    def _finished(self, index: int, process: _Process, future: "Future[Any]") -> Finished | None:
        """What a process has done; None where it loaded the model, or was lost with nothing to do."""
        chunk, process.chunk, process.future = process.chunk, None, None
        try:
            result = future.result()
        except BrokenProcessPool:
            process.close()
            self._processes[index] = _Process(self._job)
            if chunk is not None:
                return Finished(chunk, None, "its process ended")
            self._lost += 1
            if self._lost >= LOADS:
                raise CorpusError(
                    f"{self._lost} workers ended while they loaded {self._job.bundle}; there may be too little memory "
                    f"for {len(self._processes)}"
                ) from None
            return None
        if isinstance(result, str):
            raise CorpusError(result)
        self._lost = 0
        return None if chunk is None else Finished(chunk, result)

    def close(self) -> None:
        """See `Pool.close`."""
        for process in self._processes:
            process.close()
