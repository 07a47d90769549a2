"""Workers as actors of Ray, on as many machines as a cluster has.

Ray places them, restarts those that are lost and gives them again what they had. Entries go in, rows come out: sound is
read where it is run.
"""

import os
import socket
from typing import Any

from edgespeech_calib.corpus.job import Job
from edgespeech_calib.corpus.shards import Chunk
from edgespeech_calib.corpus.workers.pool import LOADS, Finished, Server
from edgespeech_calib.errors import CorpusError

LOCAL = "local"  # the address of a Ray of this machine's own, which ends with the run
RETRIES = 3  # of a chunk whose actor was lost, by Ray itself
CONNECT = 10.0  # seconds until somebody must have answered
OBJECT_STORE = 80 * 2**20  # bytes, nearly the least that Ray takes: no sound goes through it


def start_ray(address: str, workers: int | None, threads: int) -> int:
    """Start a Ray of this machine's own, or connect to a cluster; returns how many workers there are to be.

    Without `workers`, there are as many as processors for `threads` each. Raises CorpusError where there is no such
    cluster, it has fewer processors, or Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise CorpusError(f"--ray needs the package ray: pip install edgespeech[ray] ({error})") from error
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if address == LOCAL:
        os.environ.setdefault("RAY_worker_niceness", "0")  # or anything else that runs here would come first
        workers = workers or max(1, (os.cpu_count() or 1) // threads)
        options |= {"address": LOCAL, "num_cpus": workers * threads, "include_dashboard": False}
        options |= {"object_store_memory": OBJECT_STORE, "_node_ip_address": "127.0.0.1"}
    else:
        options |= {"address": address}
    if not ray.is_initialized():
        _require_listener(address)
        try:
            ray.init(**options)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError, OSError) as error:
            line = " ".join(str(error).split())[:300]
            raise CorpusError(
                f"no Ray at {address}: {line}; start one, or leave the address out; one that wants a token is reached "
                "with RAY_AUTH_MODE=token"
            ) from error
    processors = int(ray.cluster_resources().get("CPU", 0))
    workers = workers or max(1, processors // threads)
    if workers * threads > processors:
        raise CorpusError(
            f"{workers} workers of {threads} threads need {workers * threads} processors, and Ray at {address} has "
            f"{processors}; take fewer"
        )
    return workers


def _require_listener(address: str) -> None:
    """Raise CorpusError where nobody listens at HOST:PORT: Ray would end this process after a while."""
    host, separator, port = address.rpartition("//")[2].rpartition(":")
    if not separator or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT).close()
    except (OSError, OverflowError) as error:
        raise CorpusError(f"no Ray at {address}: {error}; start one, or leave the address out") from error


class RayPool:
    """Actors of the Ray to which `start_ray` connected. See `Pool`."""

    def __init__(self, job: Job, count: int) -> None:
        import ray

        self._ray, self._job, self._count = ray, job, count
        options: dict[str, Any] = {"num_cpus": job.threads or 1, "max_restarts": -1, "max_task_retries": RETRIES}
        if any("gpu" in name or "cuda" in name for name in job.devices) and ray.cluster_resources().get("GPU"):
            options["num_gpus"] = 1
        self._actor = ray.remote(Server).options(scheduling_strategy="SPREAD", **options)
        self._lost = 0  # actors in a row while they loaded the model
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Chunk | None]] = {}  # by what is waited for
        for _ in range(count):
            self._load(self._actor.remote(job))

    @property
    def idle(self) -> int:
        """See `Pool.idle`."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """See `Pool.busy`."""
        return len(self._busy)

    def submit(self, chunk: Chunk) -> None:
        """See `Pool.submit`."""
        actor = self._idle.pop()
        self._busy[actor.run.remote(tuple(chunk.entries))] = actor, chunk

    def wait(self, seconds: float) -> list[Finished]:
        """See `Pool.wait`."""
        if not self._busy:
            return []
        found = []
        ready, _ = self._ray.wait(list(self._busy), num_returns=len(self._busy), timeout=0)
        if not ready:
            ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=seconds)
        for reference in ready:
            actor, chunk = self._busy.pop(reference)
            finished = self._finished(reference, actor, chunk)
            found += [] if finished is None else [finished]
        return found

    def _finished(self, reference: Any, actor: Any, chunk: Chunk | None) -> Finished | None:
        errors = self._ray.exceptions
        try:
            result = self._ray.get(reference)
        except errors.RayActorError as error:  # ActorUnavailableError too: it is being started again
            self._load(self._actor.remote(self._job) if isinstance(error, errors.ActorDiedError) else actor)
            if chunk is not None:
                return Finished(chunk, None, "its actor was lost")
            self._lost += 1
            if self._lost >= LOADS:
                raise CorpusError(
                    f"{self._lost} actors were lost while they loaded {self._job.bundle}: {_line(error)}"
                ) from None
            return None
        except errors.RayError as error:
            raise CorpusError(f"Ray: {_line(error)}") from error
        if isinstance(result, str):
            raise CorpusError(result)
        self._lost = 0
        self._idle.append(actor)
        return None if chunk is None else Finished(chunk, result)

    def _load(self, actor: Any) -> None:
        self._busy[actor.load.remote()] = actor, None

    def close(self) -> None:
        """See `Pool.close`."""
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            self._ray.kill(actor)


def stop_ray() -> None:
    """Let go of the cluster, or end the Ray of this machine's own."""
    import ray

    ray.shutdown()


def _line(error: Exception) -> str:
    """The last line of one of Ray's errors, which says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
