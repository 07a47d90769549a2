"""Weights keep the names of their parameters, also where a simplifier has transposed them.

Whoever reads a graph, quantizes it or reports on it, then knows which layer a product belongs to.
"""

import hashlib
from collections import defaultdict

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from torch import nn

TRANSPOSED = "_transposed"  # behind the name of a weight that the graph holds both ways


def name_weights(graph: onnx.GraphProto, module: nn.Module) -> None:
    """Rename initializers that are a matrix of `module`, transposed, after it; changes the graph."""
    taken = {tensor.name for tensor in graph.initializer}
    unnamed = [tensor for tensor in graph.initializer if len(tensor.dims) == 2]
    parameters: dict[str, list[str]] | None = None
    renamed: dict[str, str] = {}
    for tensor in unnamed:
        if tensor.data_type != onnx.TensorProto.FLOAT or tensor.name.endswith(".weight"):
            continue
        parameters = parameters or _transposed(module)
        names = parameters.get(_hash(numpy_helper.to_array(tensor)), [])
        free = [name for name in (*names, *(name + TRANSPOSED for name in names)) if name not in taken]
        if free:
            renamed[tensor.name] = tensor.name = free[0]
            taken.add(free[0])
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)


def _transposed(module: nn.Module) -> dict[str, list[str]]:
    """Names of all matrices by the hash of their transpose; tied ones share it."""
    names = defaultdict(list)
    for name, tensor in module.state_dict().items():
        if tensor.ndim == 2:
            names[_hash(tensor.detach().float().numpy().T)].append(name)
    return names


def _hash(values: npt.NDArray[np.float32]) -> str:
    return hashlib.sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
