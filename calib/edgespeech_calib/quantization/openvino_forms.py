"""Writes the layers of an OpenVINO graph in integers.

An activation passes `FakeQuantize`, a weight is stored as integers with a scale for each output channel: the form that
OpenVINO turns into integer products when it loads a graph. What ranges are right is not known here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.openvino_network import (
    Array,
    Model,
    Node,
    Port,
    Product,
    bias,
    products,
    source,
)
from edgespeech_calib.quantization.options import Types

op = openvino.opset13
Floats = npt.NDArray[np.float32]

LEVELS = 256
LARGEST, LARGEST_REDUCED = 127, 63
ENDS = ("low", "high")
ORDERS = frozenset({"Transpose", "Unsqueeze"})
LEAST_PEAK = 1e-12  # of a channel of weights


@dataclass(frozen=True)
class Learnt:
    """What calibration says of a layer.

    Attributes:
        ranges: lowest and highest value of each activation that goes in, after smoothing.
        smooth: factors on the channels of the activation, which the weights take back; None: one for all.
        shift: what is added to the bias of each channel, against the mean error of rounding.
    """

    ranges: tuple[tuple[float, float], ...]
    smooth: Floats | None = None
    shift: Floats | None = None


class Forms:
    """Writes layers of one graph in their quantized form; each activation is quantized once for all that take it."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._made: dict[tuple[object, ...], Node] = {}

    def inputs(self, product: Product, learnt: Learnt) -> dict[int, Port]:
        """The quantized factors of a product by its ports. They stand beside the float ones."""
        found = {}
        for port, limits in zip(product.ports, learnt.ranges, strict=True):
            taken = product.node.input_value(port)
            found[port] = self._activation(product, port, taken, limits, learnt.smooth)
        if product.constant is not None:
            found[1] = self._weight(product, learnt.smooth)
        return found

    def write(self, product: Product, learnt: Learnt) -> None:
        """Quantize a product where it stands."""
        for port, limits in zip(product.ports, learnt.ranges, strict=True):
            target = _before_order(product, port)
            quantized = self._activation(product, port, target.get_source_output(), limits, learnt.smooth)
            target.replace_source_output(quantized)
        if product.constant is not None:
            product.node.input(1).replace_source_output(self._weight(product, learnt.smooth))
        add = bias(product.node)
        if add is not None and learnt.shift is not None:
            node, port = add
            constant = source(node.input_value(port))
            values = np.asarray(constant.data)
            moved = _constant(values + learnt.shift.reshape(values.shape), f"{product.name}/bias")
            node.input(port).replace_source_output(moved.output(0))

    def _activation(
        self, product: Product, port: int, taken: Port, limits: tuple[float, float], smooth: Floats | None
    ) -> Port:
        name = f"{product.name}/{port}"
        factors = b"" if smooth is None else smooth.tobytes()
        key = (taken.get_node().friendly_name, taken.get_index(), limits, factors)
        if key not in self._made:
            if smooth is not None:
                shape = [1] * len(taken.get_partial_shape())
                shape[product.activation_axis] = smooth.size
                factor = _constant(smooth.reshape(shape), f"{name}/smooth")
                taken = _named(op.multiply(taken, factor), f"{name}/smoothed").output(0)
            self._made[key] = _fake_quantize(taken, limits, name)
        return self._made[key].output(0)

    def _weight(self, product: Product, smooth: Floats | None) -> Port:
        constant = product.constant
        if constant is None:
            raise ValueError(f"{product.name} has no weight")
        values = product.weight
        if smooth is not None:
            values = values / (smooth[None] if product.inputs_axis == 1 else smooth[:, None])
        integers, scales = quantize_weight(values, product.channel_axes, self._types)
        stored = _constant(integers, constant.friendly_name)
        wide = _named(op.convert(stored, "f32"), f"{product.name}/wide")
        scale = _constant(scales, f"{product.name}/scale")
        return _named(op.multiply(wide, scale), f"{product.name}/weight").output(0)


def quantize(model: Model, learnt: Mapping[str, Learnt], floating: Iterable[str], types: Types) -> list[str]:
    """Write all layers of which something was learnt in integers, but for some; returns the names of those written."""
    forms, left = Forms(types), set(floating)
    written = []
    for product in products(model):
        if product.name in learnt and product.name not in left:
            forms.write(product, learnt[product.name])
            written.append(product.name)
    model.validate_nodes_and_infer_types()
    return written


def quantize_weight(values: Array, channel_axes: tuple[int, ...], types: Types) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return a weight as integers, and their scales, of the same rank."""
    others = tuple(axis for axis in range(values.ndim) if axis not in channel_axes)
    largest = LARGEST_REDUCED if types.reduce_range else LARGEST
    peaks = np.maximum(np.abs(values).max(axis=others, keepdims=True), LEAST_PEAK)
    scales = (peaks / largest).astype(np.float32)
    return np.clip(np.rint(values / scales), -largest, largest).astype(np.int8), scales


def _before_order(product: Product, port: int) -> Any:
    """The input at which to quantize: before a convolution's order of axes is made, so that bytes are moved."""
    target = product.node.input(port)
    while product.kind == "convolution" and target.get_source_output().get_node().get_type_name() in ORDERS:
        target = target.get_source_output().get_node().input(0)
    return target


def _fake_quantize(port: Port, limits: tuple[float, float], name: str) -> Node:
    ends = [_constant(np.array(end, np.float32), f"{name}/{what}") for what, end in zip(ENDS, limits, strict=True)]
    return _named(op.fake_quantize(port, *ends, *ends, LEVELS), f"{name}/quantized")


def _constant(values: Array, name: str) -> Node:
    return _named(op.constant(np.ascontiguousarray(values).reshape(np.shape(values))), name)


def _named(node: Node, name: str) -> Node:
    node.friendly_name = name
    return node
