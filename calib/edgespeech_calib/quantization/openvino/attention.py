"""Attention of an OpenVINO graph in a form whose second product, of weights and values, can be computed in integers.

Weights lie between 0 and 1 and sum to 1 over the frames: the longer the audio, the fewer of 256 steps each has. So what
the values of all frames have in common is taken out before the product and added behind it, and weights are quantized
times a factor that grows with the number of frames. In float both change nothing. What factors are right is not known
here.
"""

from dataclasses import dataclass

import numpy as np
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.openvino.network import ATTENTION, Array, Model, Node, Port, Product, weights_of
from edgespeech_calib.quantization.openvino.nodes import constant, integers, named, number, replace

op = openvino.opset13

HEADS = [0, 2, 1, 3]  # (batch, frames, heads, size) <-> (batch, heads, frames, size)
FRAMES, LAST = 1, -1


@dataclass(frozen=True)
class _Values:
    """Where an attention's values come from, and where its result goes to.

    Attributes:
        flat: (batch, frames, heads * size), before the heads are split off.
        split: the Reshape that does it.
        merged: the Reshape that joins them again.
    """

    flat: Port
    split: Node
    merged: Node


def write_attention(model: Model) -> None:
    """Write fused attention as two products around a softmax, the second one over values without their mean.

    With a mask, the mean is that of the frames that it lets through. Attention that is masked in another way than by
    frames, or splits and joins its heads in another way, stays as it is.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == ATTENTION and not node.get_attributes()["causal"]:
            values, mask = _values(node), _mask(node)
            if values is not None and mask is not False:
                _write(node, values, mask)
    model.validate_nodes_and_infer_types()


def spread(product: Product, peaks: Array, name: str) -> Port:
    """Return the factors (batch or 1, heads, 1, 1) that bring an attention's weights up to 1, but not beyond.

    A weight times the number of frames does not exceed `peaks` (1, heads, 1, 1).
    """
    share = op.divide(frames(product, name), constant(peaks, f"{name}/peaks"))
    factors = op.maximum(named(share, f"{name}/share"), number(1.0, f"{name}/one"))
    return named(factors, f"{name}/largest").output(0)


def frames(product: Product, name: str) -> Port:
    """Return the number of frames that the weights of an attention are spread over: (batch or 1, 1, 1, 1)."""
    before = weights_of(product.node).input_value(0).get_node()
    if before.get_type_name() == "Add":
        weights = named(op.exp(before.input_value(1)), f"{name}/exponentials")
        return named(op.reduce_sum(weights, integers([LAST], f"{name}/axis"), True), f"{name}/frames").output(0)
    values = product.node.input_value(1)
    shape = named(op.shape_of(values, "i64"), f"{name}/shape")
    count = op.gather(shape, integers([len(HEADS) - 2], f"{name}/index"), integers(0, f"{name}/axis"))
    count = named(op.convert(named(count, f"{name}/count"), "f32"), f"{name}/number")
    ones = integers([1] * len(HEADS), f"{name}/ones")
    return named(op.reshape(count, ones, False), f"{name}/frames").output(0)


def _values(node: Node) -> _Values | None:
    order, join = node.input_value(2).get_node(), _only_consumer(node)
    merged = None if join is None else _only_consumer(join)
    if _order(order) != HEADS or _order(join) != HEADS or merged is None:
        return None
    split = order.input_value(0).get_node()
    if split.get_type_name() != "Reshape" or merged.get_type_name() != "Reshape":
        return None
    flat = split.input_value(0)
    if len(flat.get_partial_shape()) != 3 or len(merged.get_output_partial_shape(0)) != 3:
        return None
    return _Values(flat, split, merged)


def _mask(node: Node) -> Port | bool | None:
    """What is added to the scores, (batch, 1, 1, frames); None where nothing is, False where it has another form."""
    if node.get_input_size() < 4:
        return None
    mask = node.input_value(3)
    if mask.get_node().get_type_name() == "Constant" and not np.any(mask.get_node().data):
        return None
    shape = mask.get_partial_shape()
    is_by_frame = len(shape) == 4 and all(shape[axis].is_static and len(shape[axis]) == 1 for axis in (1, 2))
    return mask if is_by_frame and mask.get_element_type() == openvino.Type.f32 else False


def _write(node: Node, values: _Values, mask: Port | None) -> None:
    name = node.friendly_name
    query, key = _scaled(node), _direct(node.input_value(1), name)
    scores = named(op.matmul(query, key, False, True), f"{name}/scores")
    mean = _mean(values.flat, mask, name)
    if mask is not None:
        scores = named(op.add(scores, mask), f"{name}/masked")
    weights = named(op.softmax(scores, LAST), f"{name}/weights")
    centred = named(op.subtract(values.flat, mean), f"{name}/centred")
    split = named(op.reshape(centred, values.split.input_value(1), True), f"{name}/split")
    split = named(op.transpose(split, integers(HEADS, f"{name}/heads")), f"{name}/values")
    takers = list(values.merged.output(0).get_target_inputs())
    whole = named(op.add(values.merged, mean), f"{name}/whole").output(0)
    for taker in takers:
        taker.replace_source_output(whole)
    node.friendly_name = f"{name}/fused"
    replace(node, named(op.matmul(weights, split, False, False), name).output(0))


def _mean(flat: Port, mask: Port | None, name: str) -> Node:
    """(batch, frames, channels) -> (batch, 1, channels)."""
    if mask is None:
        return named(op.reduce_mean(flat, integers([FRAMES], f"{name}/axis"), True), f"{name}/mean")
    even = named(op.softmax(mask, LAST), f"{name}/even")  # the same for all frames that are let through
    even = named(op.squeeze(even, integers([1], f"{name}/axis")), f"{name}/even_3d")
    return named(op.matmul(even, flat, False, False), f"{name}/mean")


def _scaled(node: Node) -> Port:
    """The queries times the attention's scale."""
    query, name = node.input_value(0), node.friendly_name
    if node.get_input_size() > 4:
        scale = float(np.asarray(node.input_value(4).get_node().data).item())
    else:
        scale = len(query.get_partial_shape()[LAST]) ** -0.5
    if scale == 1.0:
        return query
    return named(op.multiply(query, number(scale, f"{name}/scale")), f"{name}/scaled").output(0)


def _direct(port: Port, name: str) -> Port:
    """A port with one change of the order of axes in place of several."""
    order = None
    while (step := _order(port.get_node())) is not None:
        order = step if order is None else [step[axis] for axis in order]
        port = port.get_node().input_value(0)
    if order is None:
        return port
    return named(op.transpose(port, integers(order, f"{name}/order_of_keys")), f"{name}/keys").output(0)


def _order(node: Node | None) -> list[int] | None:
    if node is None or node.get_type_name() != "Transpose":
        return None
    order = node.input_value(1).get_node()
    return [int(axis) for axis in order.data] if order.get_type_name() == "Constant" else None


def _only_consumer(node: Node) -> Node | None:
    consumers = list(node.output(0).get_target_inputs())
    return consumers[0].get_node() if len(consumers) == 1 else None
