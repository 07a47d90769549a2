"""What onnxruntime's quantizer leaves to the caller, so that an NPU takes all of a graph."""

import onnx
from onnx import TensorProto, helper, numpy_helper

MOVING = {"Reshape", "Slice", "Pad", "Transpose", "Unsqueeze", "Squeeze"}  # values stay what they are
BETWEEN = {"QuantizeLinear", "DequantizeLinear"}
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}


def separate_tables(graph: onnx.GraphProto) -> None:
    """Give a table that is also a factor of a product a copy of its own; changes the graph.

    Rows are looked up in the activations' number type, products take weights of 8 bits: one tensor cannot be both.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    users: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            users[name] = users.get(name, 0) + 1
    for node in graph.node:
        if node.op_type == "Gather" and users[node.input[0]] > 1 and node.input[0] in tensors:
            own = numpy_helper.from_array(numpy_helper.to_array(tensors[node.input[0]]), f"{node.input[0]}_table")
            if own.name not in tensors:
                tensors[own.name] = own
                graph.initializer.append(own)
            node.input[0] = own.name


def quantize_moved_inputs(graph: onnx.GraphProto) -> None:
    """Quantize float inputs before they are moved, not after; changes the graph.

    The scale is that of the tensor that they become: moving changes no value.
    """
    floats = [value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT]
    for name in floats:
        moved, parameters = _moved(graph, name)
        if parameters is None or not any(name in node.input for node in graph.node if node.op_type in MOVING):
            continue
        for tensor in moved:
            _quantize(graph, tensor, parameters)


def _moved(graph: onnx.GraphProto, name: str) -> tuple[list[str], tuple[str, str] | None]:
    """The tensors that an input becomes by moving alone, itself first, and scale and zero point of the first QDQ."""
    moved, parameters = [name], None
    for node in graph.node:  # in the order of computation
        if not node.input or node.input[0] not in moved:
            continue
        if node.op_type in MOVING:
            moved.append(node.output[0])
        elif node.op_type == "QuantizeLinear" and parameters is None:
            parameters = (node.input[1], node.input[2])
    return moved, parameters


def _quantize(graph: onnx.GraphProto, tensor: str, parameters: tuple[str, str]) -> None:
    """Put a pair of QuantizeLinear and DequantizeLinear between a float tensor and those that move it on."""
    movers = [node for node in graph.node if node.op_type in MOVING and node.input[0] == tensor]
    if not movers:
        return
    whole, back = f"{tensor}_moved_q", f"{tensor}_moved_dq"
    first = list(graph.node).index(movers[0])
    graph.node.insert(first, helper.make_node("QuantizeLinear", [tensor, *parameters], [whole], name=whole))
    graph.node.insert(first + 1, helper.make_node("DequantizeLinear", [whole, *parameters], [back], name=back))
    for node in graph.node:
        if node.op_type in MOVING and node.input[0] == tensor:
            node.input[0] = back


def float_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes that compute with numbers that are not quantized. Indices and positions never are."""
    makers = {output: node.op_type for node in graph.node for output in node.output}
    whole, empty = _whole_tensors(graph), {tensor.name for tensor in graph.initializer if 0 in tensor.dims}
    return [
        node.name
        for node in graph.node
        if node.op_type not in BETWEEN
        and any(makers.get(name) != "DequantizeLinear" for name in node.input if name not in whole | empty | {""})
    ]


def _whole_tensors(graph: onnx.GraphProto) -> set[str]:
    """Names of the tensors of whole numbers that were not made by quantizing."""
    whole = {value.name for value in graph.input if value.type.tensor_type.elem_type not in FLOATS}
    whole |= {tensor.name for tensor in graph.initializer if tensor.data_type not in FLOATS}
    for node in graph.node:
        target = next((attribute.i for attribute in node.attribute if attribute.name == "to"), None)
        if target is not None:
            is_whole = target not in FLOATS
        else:
            is_whole = node.op_type not in BETWEEN and all(name in whole for name in node.input)
        if is_whole:
            whole.update(node.output)
    return whole
