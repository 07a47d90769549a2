"""Running a system in a process of its own, so that its peak memory and its load time are its own.

A message is a line of JSON, behind it the samples of the waveforms that it announces (float32 in the machine's order).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.cli.commands.memory import peak
from edgespeech_runtime.errors import EdgeSpeechRuntimeError

from edgespeech.errors import EdgeSpeechError
from edgespeech_calib.errors import EvaluationError
from edgespeech_calib.evaluation.systems import Facts, Options, System, open_system
from edgespeech_calib.scoring.labelled_frames import Answer, LabelledFrames

Waveform = npt.NDArray[np.float32]
PATIENCE = 10.0  # seconds for a worker to end by itself
LAST_WORDS = 400  # characters of what a worker that died had written


@dataclass(frozen=True)
class Answered:
    """Answers of a batch, the seconds that the model took for them, the worker's peak memory so far in bytes."""

    answers: list[Answer]
    seconds: float
    peak_memory: int | None


class Worker:
    """A system that runs in another process, loaded on entering.

    Raises EvaluationError where the system cannot be loaded or run, or its process dies.
    """

    def __init__(self, folder: Path, options: Options) -> None:
        self._folder, self._options = folder, options
        self._process: subprocess.Popen[bytes] | None = None
        self._noise: IO[bytes] | None = None
        self.facts: Facts
        self.load_seconds = 0.0  # imports of the libraries included

    def __enter__(self) -> "Worker":
        self._noise = tempfile.TemporaryFile()  # closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgespeech_calib.evaluation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
        )
        try:
            ready = self._ask({"folder": str(self._folder), "options": asdict(self._options)})
        except BaseException:
            self.__exit__(None, None, None)
            raise
        facts = {**ready["facts"], "labels": tuple(ready["facts"]["labels"])}
        self.facts, self.load_seconds = Facts(**facts), ready["seconds"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(0 if kind is not None else PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        if self._noise is not None:
            self._noise.close()

    def answer(self, waveforms: Sequence[Waveform], batch_size: int) -> Answered:
        """What the system makes of waveforms, float32 [samples] at its rate."""
        arrays = [np.ascontiguousarray(waveform, np.float32) for waveform in waveforms]
        answer = self._ask({"lengths": [len(array) for array in arrays], "batch_size": batch_size}, arrays)
        answers = [one if isinstance(one, str) else LabelledFrames.from_json(one) for one in answer["answers"]]
        return Answered(answers, answer["seconds"], answer["peak_memory"])

    def _ask(self, message: dict[str, Any], arrays: Sequence[Waveform] = ()) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EvaluationError(f"{self._folder} is not loaded; enter the worker first")
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            for array in arrays:
                process.stdin.write(array.tobytes())
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line.endswith(b"\n"):
            raise EvaluationError(self._died(process))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EvaluationError(answer["error"])
        return answer

    def _died(self, process: "subprocess.Popen[bytes]") -> str:
        code = process.wait()
        words = ""
        if self._noise is not None:
            self._noise.seek(0)
            words = " ".join(self._noise.read().decode(errors="replace").split())[-LAST_WORDS:]
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        hint = "; it may have run out of memory" if code == -getattr(signal, "SIGKILL", 9) else ""
        return f"the process that ran {self._folder} ended {how}{hint}{f': {words}' if words else ''}"


def serve(received: IO[bytes], sent: IO[bytes]) -> None:
    """Load the system of the first message, answer what the next ones hold, end where the input ends."""
    system: System | None = None
    while line := received.readline():
        message = json.loads(line)
        arrays = [_samples(received, length) for length in message.get("lengths", ())]
        try:
            began = time.perf_counter()
            if system is None:
                system = open_system(Path(message["folder"]), Options(**message["options"]))
                answer: dict[str, Any] = {"facts": asdict(system.facts)}
            else:
                answers = system.answer(arrays, message["batch_size"])
                answer = {"answers": [asdict(one) if isinstance(one, LabelledFrames) else one for one in answers]}
            answer |= {"seconds": time.perf_counter() - began, "peak_memory": peak()}
        except (EdgeSpeechError, EdgeSpeechRuntimeError) as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "there is not enough memory for this model; close other programs"}
        sent.write(json.dumps(answer).encode() + b"\n")
        sent.flush()


def _samples(received: IO[bytes], length: int) -> Waveform:
    return np.frombuffer(received.read(4 * length), np.float32)


def main() -> None:
    """Serve the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for that process, which ends this one
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as sent:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get between the answers
        serve(sys.stdin.buffer, sent)


if __name__ == "__main__":
    main()
