"""One file of weights for several ONNX graphs: equal tensors are stored once, whichever graphs use them.

Graphs of one model differ in a few nodes and share all weights. Each becomes a thin `.onnx` file beside the weights.
"""

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
import torch
from edgespeech_runtime.choices import FloatPrecision
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import uses_external_data
from torch import nn

from edgespeech_export.errors import PrecisionError
from edgespeech_export.writers.traced_graph import TracedGraph, Values, without_values

WEIGHTS_FILE = "weights.data"  # of an ONNX bundle
EXTERNAL_FROM = 1024  # bytes; smaller tensors stay inside their graph
PAGE = 4096  # bytes; engines map the file into memory, so that a large tensor begins a page
LARGE = 16 * PAGE
ALIGNMENT = 64  # bytes, a cache line, for the others
FLOAT16_MAX = float(np.finfo(np.float16).max)


class WeightStore:
    """Writes tensors to one file and remembers where each lies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offsets: dict[bytes, int] = {}  # by the hash of what lies there
        self._seen: dict[tuple[Any, ...], tuple[Values, int]] = {}  # by where values lie in memory

    def save(self, model: onnx.ModelProto | TracedGraph, path: Path) -> None:
        """Move a graph's large tensors to the store and write the rest to `path`.

        The store lies beside the graph or in a folder below it. A graph that was saved before may be saved once more
        elsewhere; its tensors stay where they are.
        """
        graph = TracedGraph.of(model)
        location = self.path.relative_to(path.parent).as_posix()
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("ab") as stream:
            for tensor in graph.model.graph.initializer:
                if tensor.name in graph.weights or not uses_external_data(tensor):
                    values = graph.values(tensor)
                    if values.nbytes >= EXTERNAL_FROM:
                        self._refer(tensor, self._offset(values, stream), values.nbytes)
                    elif tensor.name in graph.weights:  # as float16 it is small enough to stay inside the graph
                        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
                for fact in tensor.external_data:
                    if fact.key == "location":
                        fact.value = location
        onnx.save(graph.model, path)

    def _offset(self, values: Values, stream: BinaryIO) -> int:
        """Where values lie, which are written if they are new. The same memory is not read a second time."""
        memory = (values.__array_interface__["data"][0], values.shape, values.strides, values.dtype)
        if memory not in self._seen:
            content = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
            key = hashlib.sha256(content).digest()
            if key not in self._offsets:
                stream.write(b"\0" * (-stream.tell() % (PAGE if len(content) >= LARGE else ALIGNMENT)))
                self._offsets[key] = stream.tell()
                stream.write(content)
            self._seen[memory] = values, self._offsets[key]  # which keeps the memory from being used again
        return self._seen[memory][1]

    def _refer(self, tensor: TensorProto, offset: int, length: int) -> None:
        """Say in a tensor's stead where its values lie."""
        for name in ("raw_data", "float_data", "int32_data", "int64_data"):
            tensor.ClearField(name)
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        for name, value in {"location": self.path.name, "offset": offset, "length": length}.items():
            tensor.external_data.add(key=name, value=str(value))


@torch.no_grad()
def round_weights(model: nn.Module) -> None:
    """Round a model's matrices and kernels to float16, in their place.

    Vectors (biases, norms) stay float32: they are small, and sums are made of them.

    Raises:
        PrecisionError: a weight is too large for float16.
    """
    for name, tensor in model.state_dict().items():
        if tensor.dtype != torch.float32 or tensor.ndim < 2 or tensor.nbytes < EXTERNAL_FROM:
            continue
        if float(tensor.abs().max()) > FLOAT16_MAX:
            raise PrecisionError(f"weight {name} exceeds {FLOAT16_MAX:g}, the largest float16; use float32")
        tensor.copy_(tensor.half())


def narrowed(values: npt.NDArray[Any]) -> npt.NDArray[np.float16] | None:
    """Return a matrix or kernel in float16, None for anything that float16 does not hold as it is.

    That are what `round_weights` left as it was, and the few weights that a form of a graph makes of others.
    """
    if values.dtype != np.float32 or values.ndim < 2 or values.nbytes < EXTERNAL_FROM:
        return None
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half, values) else None


def store_as(graph: onnx.ModelProto | TracedGraph, precision: FloatPrecision) -> TracedGraph:
    """Return a graph whose weights are stored in a precision; it computes the same, in float32. Changes the one given.

    For float16 each matrix or kernel that it holds exactly becomes a float16 tensor and a Cast, which engines fold when
    they load the graph.
    """
    whole = TracedGraph.of(graph)
    return _halved(whole, lambda name, values: narrowed(values)) if precision == "float16" else whole


def store_small(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Store matrices and kernels of these names in float16, as `store_as` does, and round them to it.

    Those that lose more than its rounding stay: what is too large for it, or so small that bits are missing.
    """

    _halved(TracedGraph(model, {}), lambda name, values: rounded(values) if name in names else None)


def rounded(values: npt.NDArray[Any]) -> npt.NDArray[np.float16] | None:
    """Return a float32 matrix or kernel in float16; None where it is small, or loses more than float16's rounding.

    It loses more where a value is too large for float16, or so small that bits are missing.
    """
    if values.dtype != np.float32 or values.ndim < 2 or values.nbytes < EXTERNAL_FROM:
        return None
    if np.abs(values).max() > FLOAT16_MAX:
        return None
    half = values.astype(np.float16)
    lost = np.linalg.norm(values - half.astype(np.float32))
    return half if lost <= np.finfo(np.float16).eps * np.linalg.norm(values) else None


def _halved(graph: TracedGraph, half: Callable[[str, Values], npt.NDArray[np.float16] | None]) -> TracedGraph:
    casts, weights, model = [], dict(graph.weights), graph.model
    for tensor in model.graph.initializer:
        name = tensor.name
        values = half(name, graph.values(tensor))
        if values is None:
            continue
        stored = f"{name}_float16"
        if weights.pop(name, None) is None:
            tensor.CopyFrom(numpy_helper.from_array(values, stored))
        else:
            tensor.CopyFrom(without_values(stored, values))
            weights[stored] = values
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT, name=f"{name}_cast"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return TracedGraph(model, weights)
