"""Threads for work that numpy does element by element: it lets go of Python's lock inside its loops."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

Work = Callable[[Iterable[slice]], None]


class Workers:
    """Shares work out among threads, of which the caller is one. Many callers may use one of these at once."""

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._pool: Any = None
        self._process = 0

    def share(self, work: Work, length: int, block: int) -> None:
        """Call `work` with slices of at most `block` that together make up `length`, in several threads.

        The slices do not depend on the number of threads, nor does a result that is made of theirs.
        """
        slices = [slice(start, min(start + block, length)) for start in range(0, length, block)]
        parts = [slices[first :: self._threads] for first in range(min(self._threads, len(slices)))]
        others = [self._executor().submit(_quietly, work, part) for part in parts[1:]]
        try:
            for part in parts[:1]:
                _quietly(work, part)
        finally:
            errors = [other.exception() for other in others]  # waits, also when this thread's own part has failed
        for error in filter(None, errors):
            raise error

    def _executor(self) -> Any:
        """The pool; a process that was forked has none of its parent's threads and gets a pool of its own."""
        from concurrent.futures import ThreadPoolExecutor

        if self._process != os.getpid():
            self._pool, self._process = ThreadPoolExecutor(self._threads - 1, "edgespeech"), os.getpid()
        return self._pool


def _quietly(work: Work, part: Sequence[slice]) -> None:
    with np.errstate(all="ignore"):  # a setting of each thread
        work(part)
