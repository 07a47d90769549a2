"""Tracing each graph once, however often the tests export a checkpoint: tracing is what an export waits for.

Processes that share the tests share what they traced. A graph is found by a name for its checkpoint and by its weights.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from edgespeech_export.writers import tracing
from edgespeech_export.writers.traced_graph import TracedGraph


@contextmanager
def tracing_once(folder: Path, checkpoint: str) -> Iterator[None]:
    """Within, graphs of the checkpoint of that name are traced unless they are in `folder`, and put there."""
    trace = tracing.trace

    def kept(source: Any, samples: Any) -> TracedGraph:
        path = folder / f"{_key(checkpoint, source)}.onnx"
        if not path.exists():
            partial = path.with_suffix(f".{os.getpid()}")
            onnx.save(trace(source, samples).whole(), partial)
            partial.replace(path)
        return TracedGraph(onnx.load(path), {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "trace", kept)
        yield


def _key(checkpoint: str, source: Any) -> str:
    parts = source.module.named_modules()
    form = next((type(part).__name__ for name, part in parts if name.endswith("feature_extractor")), "none")
    digest = hashlib.sha256(f"{checkpoint} {source.name} {form} {source.inputs} {source.outputs}".encode())
    for name, values in sorted(source.module.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
