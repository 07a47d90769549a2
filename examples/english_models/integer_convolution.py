"""Integer convolutions as products of matrices, which ONNX Runtime computes twice as fast on one x86 core.

`ConvInteger` of unsigned inputs and weights misses the processor's instructions for 8-bit products (VNNI);
`MatMulInteger` of unsigned inputs and signed weights has them. The results are the same integers.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

LAST = 2**31 - 1  # as the end of a slice: the whole rest


def signed(values: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Unsigned integers moved down by 128."""
    return (values.astype(np.int16) - 128).astype(np.int8)


def attributes(node: NodeProto) -> dict[str, list[int]]:
    """The lists of integers among a node's attributes."""
    return {attribute.name: list(attribute.ints) for attribute in node.attribute if attribute.ints}


def product(
    node: NodeProto, weight: NDArray[np.uint8], zero: NDArray[np.uint8]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants that stand for a `ConvInteger` of one group and stride 1 over (1, channels, time)."""
    given, taps, name = attributes(node), weight.shape[2], node.name
    before, after = given.get("pads", [0, 0])
    step = given.get("dilations", [1])[0]
    matrix = np.ascontiguousarray(signed(weight).transpose(2, 1, 0)).reshape(-1, len(weight))
    constants = {"matrix": matrix, "zero": signed(zero), "axis": np.asarray([1])}
    constants["pads"] = np.asarray([0, before, 0, 0, after, 0])
    nodes = [helper.make_node("Transpose", [node.input[0]], [f"{name}/frames"], perm=[0, 2, 1])]
    nodes.append(helper.make_node("Pad", [f"{name}/frames", f"{name}/pads", node.input[2]], [f"{name}/padded"]))
    for tap in range(taps):
        constants[f"from{tap}"] = np.asarray([tap * step])
        constants[f"to{tap}"] = np.asarray([(tap + 1 - taps) * step or LAST])
        bounds = [f"{name}/{part}" for part in ("padded", f"from{tap}", f"to{tap}", "axis")]
        nodes.append(helper.make_node("Slice", bounds, [f"{name}/tap{tap}"]))
    nodes.append(helper.make_node("Concat", [f"{name}/tap{tap}" for tap in range(taps)], [f"{name}/columns"], axis=2))
    factors = [f"{name}/columns", f"{name}/matrix", node.input[2], f"{name}/zero"]
    nodes.append(helper.make_node("MatMulInteger", factors, [f"{name}/product"]))
    nodes.append(helper.make_node("Transpose", [f"{name}/product"], [node.output[0]], perm=[0, 2, 1]))
    return nodes, [numpy_helper.from_array(value, f"{name}/{key}") for key, value in constants.items()]


def rewritten(model: ModelProto) -> Iterator[NodeProto]:
    """The nodes of `model` with the convolutions replaced, whose constants are added to it."""
    known = {constant.name: constant for constant in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "ConvInteger" or attributes(node).get("strides", [1]) != [1]:
            yield node
            continue
        weight, zero = (numpy_helper.to_array(known[node.input[place]]) for place in (1, 3))
        nodes, constants = product(node, weight, zero)
        model.graph.initializer.extend(constants)
        yield from nodes


def faster(serialized: bytes) -> bytes:
    """The model with products of matrices in place of its integer convolutions (one group and one dimension each)."""
    model = onnx.load_model_from_string(serialized)
    nodes = list(rewritten(model))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    rewritten_model: bytes = model.SerializeToString()
    return rewritten_model
