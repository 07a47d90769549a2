"""What a pool of workers is to a run: chunks go in, rows come out, and a worker may be lost."""

from typing import NamedTuple, Protocol

from edgespeech_calib.corpus.entries import Entry
from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.shards import Chunk
from edgespeech_calib.corpus.worker import Rows, Worker

LOADS = 20  # workers in a row that may be lost while they load the model


class Finished(NamedTuple):
    """Rows of a chunk; or None where its worker was lost, and how."""

    chunk: Chunk
    rows: Rows | None
    reason: str = ""


class Pool(Protocol):
    """Workers of which each has one chunk at most.

    All methods raise CorpusError where the model cannot be loaded, or workers are lost again and again while they load.
    """

    @property
    def idle(self) -> int:
        """How many have loaded the model and have nothing to do."""

    @property
    def busy(self) -> int:
        """How many load the model or run a chunk."""

    def submit(self, chunk: Chunk) -> None:
        """Give a chunk to an idle worker."""

    def wait(self, seconds: float) -> list[Finished]:
        """What has been finished, or lost, after at most so many seconds."""

    def close(self) -> None:
        """End all workers, whatever they do."""


class Server:
    """What stands in a worker's process: the model, loaded when it is first needed, and errors as values."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._worker: Worker | None = None

    def load(self) -> str | None:
        """Load the model. Returns what is wrong with it, if anything is."""
        from edgespeech_runtime.errors import EdgeSpeechRuntimeError

        if self._worker is None:
            try:
                self._worker = Worker(self._job)
            except (EdgeSpeechRuntimeError, OSError) as error:
                return str(error)
            except MemoryError:
                return "there is not enough memory for so many models; take fewer workers"
        return None

    def run(self, entries: tuple[Entry, ...]) -> Rows | str:
        """Rows of entries, or what is wrong with the model or the packages that it needs."""
        from edgespeech_runtime.errors import AudioPackageError

        problem = self.load()
        if problem is not None or self._worker is None:
            return problem or "the model is not loaded"
        try:
            return self._worker.run(entries)
        except AudioPackageError as error:
            return str(error)
