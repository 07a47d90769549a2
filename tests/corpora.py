"""What the recordings of a corpus of tones say, a pool of one worker in this process, and the processes of a run."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.shards import Chunk
from edgespeech_calib.corpus.worker import Worker
from edgespeech_calib.corpus.workers.pool import Finished

RATE = 16000  # Hz
SAID = ("A_B|C", "B|B", "C|C_C|A|B", "A_A", "A|B|C|A_B_C|A")
TEXTS = ("AB C", "B B", "C CC A B", "AA", "A B C ABC A")


class InlinePool:
    """One worker in this process, which is lost where `is_lost` says so of a chunk."""

    def __init__(self, job: Job, is_lost: Callable[[Chunk], bool] = lambda chunk: False) -> None:
        self._worker, self._is_lost = Worker(job), is_lost
        self._chunk: Chunk | None = None
        self.chunks: list[Chunk] = []  # that were run

    @property
    def idle(self) -> int:
        return int(self._chunk is None)

    @property
    def busy(self) -> int:
        return 1 - self.idle

    def submit(self, chunk: Chunk) -> None:
        self._chunk = chunk

    def wait(self, seconds: float) -> list[Finished]:
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return []
        if self._is_lost(chunk):
            return [Finished(chunk, None, "its process ended")]
        self.chunks.append(chunk)
        return [Finished(chunk, self._worker.run(chunk.entries))]

    def close(self) -> None:
        self._worker.close()


def descendants(pid: int) -> dict[int, str]:
    """The processes that a process started, and those that they did: what each is called with, by its number."""
    parents, commands = {}, {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                stat = (folder / "stat").read_text()
                parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
                commands[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended
            continue
    known = {pid}
    while more := {child for child, parent in parents.items() if parent in known} - known:
        known |= more
    return {child: commands[child] for child in known - {pid} if child in commands}


def workers(pid: int) -> list[int]:
    """Of those, the workers of a run: processes of Python's own, or actors of Ray."""
    return [child for child, command in descendants(pid).items() if "spawn_main" in command or "ray::Server" in command]


def kill(pid: int) -> bool:
    """Kill -9. Returns whether the process was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
