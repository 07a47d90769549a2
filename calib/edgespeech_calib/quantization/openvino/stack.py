"""The convolutions of an OpenVINO graph in the forms that are fast in integers.

In float, products over windows are faster and that is what an export holds (`edgespeech_export.channels_last`). In
integers OpenVINO's convolutions are as fast, and they cut the windows in passing; what `Pad` and `Slice` cut, OpenVINO
multiplies in float.
"""

import re
from dataclasses import dataclass

import numpy as np
from edgespeech_runtime.bundle.manifest import Frames
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.openvino.network import FEATURES, MOVES, Array, Model, Node, Port, Product, products
from edgespeech_calib.quantization.openvino.nodes import constant, integers, named, number, replace

op = openvino.opset13

# Computed on each number alone, so that the order of the axes does not matter.
ELEMENTWISE = frozenset(
    {
        "Abs",
        "Add",
        "Clamp",
        "Convert",
        "Divide",
        "Elu",
        "Erf",
        "Exp",
        "Gelu",
        "HSigmoid",
        "HSwish",
        "HardSigmoid",
        "Log",
        "Maximum",
        "Minimum",
        "Mish",
        "Multiply",
        "Negative",
        "PRelu",
        "Power",
        "Relu",
        "Select",
        "Sigmoid",
        "SoftPlus",
        "Sqrt",
        "Subtract",
        "Swish",
        "Tanh",
    }
)
TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
UNIT, NONE = [1, 1], [0, 0]


@dataclass(frozen=True)
class Window:
    """A product over windows of `source` (batch, frames, channels), as an export writes a convolution."""

    product: Product
    source: Port
    kernel: int
    stride: int


def windows(model: Model, frames: Frames) -> list[Window]:
    """The products over windows in a graph's conv stack, in order."""
    cuts = []
    for product in products(model):
        match = re.search(rf"{FEATURES}\.conv_layers\.(\d+)\.", product.name)
        if match and product.node.get_type_name() == "MatMul":
            index, port = int(match[1]), product.node.input_value(0)
            while port.get_node().get_type_name() in MOVES:
                port = port.get_node().input_value(0)
            cuts.append(Window(product, port, frames.kernels[index], frames.strides[index]))
    return cuts


def write_convolutions(model: Model, frames: Frames) -> None:
    """Write products over windows as convolutions, with the order of axes changed before and after each."""
    for window in windows(model, frames):
        name = window.product.name
        taken = _channels_first(window.source, name)
        replace(window.product.node, _channels_last(_convolution(window, taken), name))


def write_stack(model: Model, frames: Frames) -> bool:
    """Write a stack with group norm as convolutions that keep one order of axes throughout; False for other stacks.

    Where each frame is normalised over its channels, those have to be last in between.
    """
    stack = windows(model, frames)
    if not stack:
        return False
    regions = [_between(window.source, before) for window, before in zip(stack[1:], stack, strict=False)]
    first = _first(stack[0].source)
    if first is None or None in regions:
        return False
    order = {node.friendly_name: index for index, node in enumerate(model.get_ordered_ops())}
    node, region = first
    _turn(node, _scaled_convolution(node), region, order)
    for window, between in zip(stack[:-1], regions, strict=True):
        _turn(window.product.node, _convolution(window, window.source), between or [], order)
    last = stack[-1]
    replace(last.product.node, _channels_last(_convolution(last, last.source), last.product.name))
    return True


def _first(port: Port) -> tuple[Node, list[Node]] | None:
    """The first product, whose weights are each utterance's own, and what is computed between it and `port`."""
    region: list[Node] = []
    node = port.get_node()
    queue = [node]
    ends: dict[str, Node] = {}
    while queue:
        node = queue.pop()
        if node.get_type_name() == "MatMul":
            ends[node.friendly_name] = node
        elif node.get_type_name() in ELEMENTWISE:
            region.append(node)
            queue.extend(value.get_node() for value in node.input_values() if _is_variable(value))
        else:
            return None
    if len(ends) != 1:
        return None
    (end,) = ends.values()
    return (end, region) if _factors(end) is not None else None


def _factors(node: Node) -> tuple[Port, Array] | None:
    """Of a product with `factors (batch, 1, channels) * constant (1, kernel, channels)`: those two."""
    settings, scaled = node.get_attributes(), node.input_value(1).get_node()
    if settings["transpose_b"] or scaled.get_type_name() != "Multiply":
        return None
    for index in (0, 1):
        fixed, other = scaled.input_value(index).get_node(), scaled.input_value(1 - index)
        shape = other.get_partial_shape()
        if fixed.get_type_name() == "Constant" and len(shape) == 3 and shape[1].is_static and len(shape[1]) == 1:
            values = np.asarray(fixed.data)
            return other, values.reshape(values.shape[-2:])
    return None


def _scaled_convolution(node: Node) -> Port:
    """The first product as a convolution over patches with constant weights, times each utterance's factors."""
    factor_nodes = _factors(node)
    if factor_nodes is None:
        raise ValueError(f"{node.friendly_name} has no factors")
    factors, weight = factor_nodes
    name, patches = node.friendly_name, node.input_value(0)
    if not node.get_attributes()["transpose_a"]:
        patches = named(op.transpose(patches, integers([0, 2, 1], f"{name}/order")), f"{name}/patches")
    patches = named(op.unsqueeze(patches, integers([2], f"{name}/axis")), f"{name}/patches_4d")
    kernel = constant(weight.T[:, :, None, None], f"{name}/weight")
    x = named(op.convolution(patches, kernel, UNIT, NONE, NONE, UNIT), f"{name}/convolution")
    factors = named(op.transpose(factors, integers([0, 2, 1], f"{name}/order_of_factors")), f"{name}/factors")
    factors = named(op.unsqueeze(factors, integers([3], f"{name}/axis_of_factors")), f"{name}/factors_4d")
    # Multiplying by one in a convolution gives the factors the order of axes in memory that its result has; without,
    # OpenVINO changes that of the result, which is thousands of times larger.
    ones = constant(np.ones((weight.shape[1], 1, 1, 1, 1), np.float32), f"{name}/ones")
    factors = named(op.group_convolution(factors, ones, UNIT, NONE, NONE, UNIT), f"{name}/factors_in_order")
    return named(op.multiply(x, factors), f"{name}/scaled").output(0)


def _convolution(window: Window, taken: Port) -> Port:
    """(batch, channels_in, 1, frames_in) -> (batch, channels, 1, frames)."""
    product, node = window.product, window.product.node
    weight = product.weight if product.inputs_axis == 1 else product.weight.T  # (channels, kernel * channels_in)
    weight = weight.reshape(len(weight), window.kernel, 1, -1).transpose(0, 3, 2, 1)
    kernel = constant(weight, product.constant.friendly_name)  # type: ignore[union-attr]
    convolved = op.convolution(taken, kernel, [1, window.stride], NONE, NONE, UNIT)
    return named(convolved, f"{node.friendly_name}/convolution").output(0)


def _channels_first(port: Port, name: str) -> Port:
    x = named(op.unsqueeze(port, integers([1], f"{name}/axis")), f"{name}/4d")
    return named(op.transpose(x, integers(TO_FIRST, f"{name}/order")), f"{name}/channels_first").output(0)


def _channels_last(port: Port, name: str) -> Port:
    x = named(op.transpose(port, integers(TO_LAST, f"{name}/order_back")), f"{name}/channels_last")
    return named(op.squeeze(x, integers([1], f"{name}/axis_back")), f"{name}/3d").output(0)


def _between(port: Port, before: Window) -> list[Node] | None:
    """What is computed between a product and `port`, if that is elementwise throughout."""
    region, seen, queue = [], set(), [port.get_node()]
    while queue:
        node = queue.pop()
        name = node.friendly_name
        if name == before.product.node.friendly_name or name in seen:
            continue
        seen.add(name)
        if node.get_type_name() not in ELEMENTWISE:
            return None
        region.append(node)
        queue.extend(value.get_node() for value in node.input_values() if _is_variable(value))
    return region


def _is_variable(port: Port) -> bool:
    return port.get_node().get_type_name() != "Constant"


def _turn(node: Node, replacement: Port, region: list[Node], order: dict[str, int]) -> None:
    """Put a result with channels first in a node's place, and vectors that are combined with it along its channels.

    What is computed from it learns its new shape, each node after those before it in `order`.
    """
    for consumer in region:
        for value in consumer.inputs():
            fixed = value.get_source_output().get_node()
            if fixed.get_type_name() == "Constant" and np.asarray(fixed.data).size > 1:
                turned = np.asarray(fixed.data).reshape(1, -1, 1, 1)
                name = f"{consumer.friendly_name}/{fixed.friendly_name}/channels_first"
                value.replace_source_output(constant(turned, name).output(0))
    replace(node, replacement)
    for consumer in sorted(region, key=lambda consumer: order[consumer.friendly_name]):
        consumer.validate_and_infer_types()


def write_padding(model: Model) -> None:
    """Write the zeros around the positional convolution's input as numbers of their own.

    Its input can then be stored as numbers from 0 to 255, of which none stands for the zeros of a convolution's own
    padding. Over those OpenVINO's kernel for groups takes little more than half of the time of one over signed numbers.
    """
    for product in products(model):
        if product.kind != "positional" or product.is_without_padding:
            continue
        node, settings = product.node, product.node.get_attributes()
        ends = [
            integers([0, 0, *settings[which]], f"{product.name}/{which}").output(0)
            for which in ("pads_begin", "pads_end")
        ]
        zero = number(0.0, f"{product.name}/nothing")
        padded = named(op.pad(node.input_value(0), *ends, "constant", zero), f"{product.name}/padded")
        none = [0] * len(settings["strides"])
        convolved = op.group_convolution(
            padded, node.input_value(1), settings["strides"], none, none, settings["dilations"]
        )
        name, node.friendly_name = node.friendly_name, f"{node.friendly_name}/with_zeros"
        replace(node, named(convolved, name).output(0))
