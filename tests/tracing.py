"""Tracing each graph once, however often the tests export a checkpoint: tracing is what an export waits for."""

from collections.abc import Hashable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import onnx
import pytest
from edgespeech_export import writers

Traced: TypeAlias = MutableMapping[tuple[Hashable, ...], onnx.ModelProto]


@contextmanager
def tracing_once(traced: Traced, *checkpoint: Hashable) -> Iterator[None]:
    """Within, graphs of the checkpoint of that name are traced unless they are in `traced`, and put there."""
    trace = writers.to_onnx

    def to_onnx(source: Any, samples: Any) -> onnx.ModelProto:
        parts = source.module.named_modules()
        form = next((type(part).__name__ for name, part in parts if name.endswith("feature_extractor")), "none")
        key = (*checkpoint, source.name, form)
        if key not in traced:
            traced[key] = trace(source, samples)
        model = onnx.ModelProto()
        model.CopyFrom(traced[key])
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "to_onnx", to_onnx)
        yield
