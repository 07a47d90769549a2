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
        self._offsets: dict[bytes, int] = {}

    def save(self, model: onnx.ModelProto, path: Path) -> None:
        """Move a graph's large tensors to the store and write the rest to `path`.

        The store lies beside the graph or in a folder below it. A graph that was saved before may be saved once more
        elsewhere; its tensors stay where they are.
        """
        location = self.path.relative_to(path.parent).as_posix()
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("ab") as stream:
            for tensor in model.graph.initializer:
                if not uses_external_data(tensor):
                    content = _content(tensor)
                    if len(content) >= EXTERNAL_FROM:
                        self._move(tensor, content, stream)
                for fact in tensor.external_data:
                    if fact.key == "location":
                        fact.value = location
        onnx.save(model, path)

    def _move(self, tensor: TensorProto, content: bytes, stream: BinaryIO) -> None:
        key = hashlib.sha256(content).digest()
        if key not in self._offsets:
            stream.write(b"\0" * (-stream.tell() % (PAGE if len(content) >= LARGE else ALIGNMENT)))
            self._offsets[key] = stream.tell()
            stream.write(content)
        for name in ("raw_data", "float_data", "int32_data", "int64_data"):
            tensor.ClearField(name)
        tensor.data_location = TensorProto.EXTERNAL
        del tensor.external_data[:]
        facts = {"location": self.path.name, "offset": self._offsets[key], "length": len(content)}
        for name, value in facts.items():
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


def store_as(model: onnx.ModelProto, precision: FloatPrecision) -> None:
    """Store the weights of a graph in a precision; it computes the same, in float32. Changes the graph.

    For float16 each matrix or kernel that it holds exactly becomes a float16 tensor and a Cast, which engines fold when
    they load the graph.
    """
    if precision == "float16":
        _halve(model, lambda name, values: narrowed(values))


def store_small(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Store matrices and kernels of these names in float16, as `store_as` does, and round them to it.

    Those that lose more than its rounding stay: what is too large for it, or so small that bits are missing.
    """

    _halve(model, lambda name, values: rounded(values) if name in names else None)


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


def _halve(model: onnx.ModelProto, half: Callable[[str, npt.NDArray[Any]], npt.NDArray[np.float16] | None]) -> None:
    casts = []
    for tensor in model.graph.initializer:
        name = tensor.name
        values = half(name, numpy_helper.to_array(tensor))
        if values is None:
            continue
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT, name=f"{name}_cast"))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _content(tensor: TensorProto) -> bytes:
    return numpy_helper.to_array(tensor).tobytes()
