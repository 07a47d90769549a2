"""Reshapes that keep their leading axes, written without arithmetic on shapes.

The exporter computes each target shape from the input's. Where the leading sizes stay what they were, ONNX can say so
with a 0, and the arithmetic falls away: the graph becomes smaller, and engines see that heads are split off.
"""

import numpy as np
import onnx
from onnx import numpy_helper

Shape = list[int | str]


def copy_leading_dimensions(graph: onnx.GraphProto) -> None:
    """Replace computed shapes of Reshape nodes by constants with 0 for each size that is copied; changes the graph.

    Works on the symbolic shapes that the exporter noted. A reshape that they do not explain stays as it is.
    """
    shapes = {value.name: _shape(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Reshape" or node.input[1] in constants:
            continue
        target = _target(shapes.get(node.input[0]), shapes.get(node.output[0]))
        if target is not None:
            name = f"{node.output[0]}_shape"
            graph.initializer.append(numpy_helper.from_array(np.array(target, np.int64), name))
            node.input[1] = name
            del node.attribute[:]  # allowzero, with which a 0 would mean no elements


def _target(source: Shape | None, result: Shape | None) -> list[int] | None:
    """The constant that reshapes `source` to `result`: 0 copies, -1 is what remains; None where none does."""
    if not source or not result:
        return None
    target: list[int] = []
    for index, size in enumerate(result):
        if isinstance(size, int):
            target.append(size)
        elif index < len(source) and source[index] == size and all(entry == 0 for entry in target):
            target.append(0)
        else:
            target.append(-1)
    return target if target.count(-1) <= 1 else None


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    """Sizes, free ones by name; None where one is not known at all."""
    dims = value.type.tensor_type.shape.dim
    if not all(dim.HasField("dim_param") or dim.HasField("dim_value") for dim in dims):
        return None
    return [dim.dim_param if dim.HasField("dim_param") else dim.dim_value for dim in dims]
