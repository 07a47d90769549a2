"""Running a bundle on each device that its engine offers, each time in a process of its own.

A process's memory and the time of its first load are its own, and a driver that crashes takes down no more than that.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Answer: TypeAlias = str | list[list[bool]] | list[float]  # a text or a label, what is true in each frame, an embedding
PATIENCE = 1800  # seconds for a device to compile and run a model
LAST_WORDS = 300  # characters of what a process said before it died


@dataclass(frozen=True)
class Check:
    """How a bundle did on a device. What could not be measured is None.

    Attributes:
        device: its exact name.
        works: it loads the bundle and passes its self-check.
        same_answer: its answer to the golden input is that of the CPU: a text, a label, what is true in each frame, or
            an embedding.
        difference: the largest of any value from the expected one.
        first_load, next_load: seconds, without and with what an earlier load has left behind; imports not counted.
        real_time_factor: seconds of computing for a second of audio.
        memory: peak of the process, bytes.
        error: what went wrong.
    """

    device: str
    works: bool
    same_answer: bool | None = None
    difference: float | None = None
    first_load: float | None = None
    next_load: float | None = None
    real_time_factor: float | None = None
    memory: int | None = None
    error: str | None = None


def check(bundle: Path, note: Callable[[str], None]) -> list[Check]:
    """Check a bundle on every device of its engine, the best first; `note` is called with each when its turn comes.

    Raises:
        EdgeSpeechRuntimeError: it is no bundle, or its engine is not installed.
    """
    from ...bundle.folder import open_bundle
    from ...engines.devices import candidates

    manifest = open_bundle(bundle).manifest
    offered = candidates(manifest.engine, "auto", manifest.static is not None)
    runs = {}
    for candidate in offered:
        with tempfile.TemporaryDirectory(prefix="edgespeech-") as kept:  # so that the first load is one
            note(f"{candidate.name}: compiling and running")
            first = _run(bundle, candidate.name, kept)
            note(f"{candidate.name}: once more, from what was kept")
            runs[candidate.name] = first, _run(bundle, candidate.name, kept)
    answer = next((runs[candidate.name][0].get("answer") for candidate in offered if candidate.kind == "cpu"), None)
    return [_summary(name, first, again, answer) for name, (first, again) in runs.items()]


def _summary(device: str, first: dict[str, Any], again: dict[str, Any], answer: Answer | None) -> Check:
    if "error" in first:
        return Check(device, works=False, error=first["error"])
    return Check(
        device,
        works=True,
        same_answer=None if answer is None else _agree(first["answer"], answer),
        difference=first["difference"],
        first_load=first["load"],
        next_load=again.get("load"),
        real_time_factor=first["real_time_factor"],
        memory=first["memory"],
        error=again.get("error"),
    )


def _agree(answer: Answer, expected: Answer) -> bool:
    """Whether two answers are one; embeddings and features may differ by what a device of low precision is allowed."""
    from ...tasks.model import LOW_PRECISION

    first: Any = expected
    while isinstance(first, list):
        first = first[0]
    if not isinstance(first, float):  # a text, or what is true in each frame
        return answer == expected
    return bool(np.abs(np.subtract(answer, expected)).max() <= LOW_PRECISION * np.abs(expected).max())


def _run(bundle: Path, device: str, kept: str) -> dict[str, Any]:
    from ...bundle.cache import VARIABLE

    command = [sys.executable, "-m", __name__, str(bundle), device]
    try:
        environment = {**os.environ, VARIABLE: kept}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"it took longer than {PATIENCE} s"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        words = " ".join(done.stderr.split())[-LAST_WORDS:]
        return {"error": f"the process ended with exit code {done.returncode}{f': {words}' if words else ''}"}
    return answer


def measure(bundle: Path, device: str) -> dict[str, Any]:
    """Load a bundle on a device, self-check it and run its golden input in this process."""
    import time

    from ... import load
    from ...bundle.contracts import VALUES
    from ...bundle.folder import open_bundle
    from ...errors import EdgeSpeechRuntimeError
    from .memory import peak

    try:
        opened = open_bundle(bundle)
        began = time.perf_counter()
        with load(bundle, device, self_check="never") as model:
            loaded = time.perf_counter() - began
            difference = model.self_check()
            (values,) = opened.arrays(opened.manifest.golden.file, VALUES.name)
            model.predict(values[0], with_logits=False)
            began = time.perf_counter()
            answer = model.predict(values[0], with_logits=False).plain
            seconds = time.perf_counter() - began
    except EdgeSpeechRuntimeError as error:
        return {"error": str(error)}
    audio = values.shape[1] / opened.manifest.audio.sampling_rate
    facts = {"load": loaded, "difference": difference, "answer": answer, "memory": peak()}
    return {**facts, "real_time_factor": seconds / audio}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))  # for the process that started this one
