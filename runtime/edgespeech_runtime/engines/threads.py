"""How many threads there are, and who gets them: the operators of one batch, or several batches at the same time."""

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from .calls import Call, current, running

ResultT = TypeVar("ResultT")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_of_each(threads: int | None, streams: int) -> int | None:
    """Threads of each of `streams` that share `threads` (None: one per core); None where one stream has them all."""
    if threads is None and streams == 1:
        return None
    return max(1, (threads or cores()) // streams)


def run_all(works: Sequence[Callable[[], ResultT]], streams: int) -> list[ResultT]:
    """What each returns, in their order; at most `streams` run at the same time, each in a thread of its own.

    The first error ends them all, as does whatever ends the call that this thread runs.
    """
    if streams == 1 or len(works) < 2:
        return [work() for work in works]
    return current().run(lambda: _prepared(works, streams))


def _prepared(
    works: Sequence[Callable[[], ResultT]], streams: int
) -> tuple[Callable[[], list[ResultT]], Callable[[], None]]:
    from concurrent.futures import ThreadPoolExecutor  # here, because it is slow to import

    calls = [Call() for _ in works]

    def stop() -> None:
        for call in calls:
            call.cancel()

    def run() -> list[ResultT]:
        with ThreadPoolExecutor(streams, "edgespeech-stream") as pool:
            futures = [pool.submit(running, call, work) for call, work in zip(calls, works, strict=True)]
            try:
                return [future.result() for future in futures]
            except BaseException:
                stop()
                raise

    return run, stop
