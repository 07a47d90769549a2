"""Saying that a device compiles a graph, where that takes long enough to wonder."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds
ERASE_LINE = "\r\x1b[2K"


def announce() -> None:
    """From now on say on stderr which graph is being compiled, once that has taken two seconds."""
    from ...engines.compiled import watch

    watch(_announced)


@contextmanager
def _announced(file: str, device: str) -> Iterator[None]:
    timer = threading.Timer(PATIENCE, _say, (f"  compiling {file} for {device}; it is kept for the next time",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(line: str) -> None:
    # A progress display may stand in the line of the cursor; it draws itself again.
    print(f"{ERASE_LINE if sys.stderr.isatty() else ''}{line}", file=sys.stderr, flush=True)
