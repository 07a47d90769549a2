"""Where a bundle comes from, and what was measured of it: for the manifest."""

import hashlib
import platform
import statistics
import time
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import onnx
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.choices import ENGINES, EngineName

TOOLS = ("edgespeech", "edgespeech-runtime", "torch", "onnx", "onnxsim")
SPEED_SECONDS = 5.0  # of audio
SPEED_RUNS = 3
WARM_SECONDS = 1.0  # of audio, run once before


def provenance(checkpoint: Path, engine: EngineName) -> dict[str, Any]:
    """Return the checkpoint's name and hash, and the versions of the tools."""
    package = ENGINES[engine].package
    return {
        "checkpoint": checkpoint.resolve().name,
        "checkpoint_sha256": checkpoint_hash(checkpoint),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in (*TOOLS, package)}},
    }


def checkpoint_hash(checkpoint: Path) -> str:
    """One SHA-256 over the configuration and the weight files of a checkpoint folder, by name and content."""
    patterns = ("*.safetensors", "*.bin", "*.msgpack", "*.h5")
    files = [checkpoint / "config.json", *(path for pattern in patterns for path in checkpoint.glob(pattern))]
    listing = "".join(f"{path.name} {sha256(path)}\n" for path in sorted(set(files)) if path.is_file())
    return hashlib.sha256(listing.encode()).hexdigest()


def operators(model: onnx.ModelProto) -> dict[str, int]:
    """Count the operators of a graph, most frequent first."""
    return dict(Counter(node.op_type for node in model.graph.node).most_common())


def speed(bundle: Path) -> dict[str, Any]:
    """Measure the runtime on noise: median seconds of several runs, and seconds of work per second of audio."""
    with edgespeech_runtime.load(bundle, self_check="never") as model:
        rate, static = model.manifest.audio.sampling_rate, model.manifest.static
        audio_seconds = SPEED_SECONDS if static is None else min(SPEED_SECONDS, static.buckets[-1] / rate)
        noise = np.random.default_rng(0).standard_normal(int(audio_seconds * rate))
        waveform = (0.1 * noise).astype(np.float32)
        warm = max(int(WARM_SECONDS * rate), model.manifest.audio.shortest)
        model.predict(waveform if static else waveform[:warm], with_logits=False)  # of fixed shapes, the same graph
        times = []
        for _ in range(SPEED_RUNS):
            start = time.perf_counter()
            model.predict(waveform, with_logits=False)
            times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    return {
        "audio_seconds": audio_seconds,
        "seconds": round(seconds, 4),
        "real_time_factor": round(seconds / audio_seconds, 5),
        "machine": machine(),
    }


def machine() -> str:
    """Name this machine: system, processor and the number of its cores."""
    import os

    return f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
