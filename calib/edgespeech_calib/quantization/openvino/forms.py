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

from edgespeech_calib.quantization.openvino.attention import spread
from edgespeech_calib.quantization.openvino.network import (
    CHANNELS_FIRST,
    Array,
    Model,
    Node,
    Port,
    Product,
    bias,
    products,
    source,
)
from edgespeech_calib.quantization.openvino.nodes import constant, named, number
from edgespeech_calib.quantization.options import Types

op = openvino.opset13
Floats = npt.NDArray[np.float32]

LEVELS = 256
LARGEST, LARGEST_REDUCED = 127, 63
ENDS = ("low", "high")
ORDERS = frozenset({"Reshape", "Transpose", "Unsqueeze"})
LEAST_PEAK = 1e-12  # of a channel of weights


@dataclass(frozen=True)
class Learnt:
    """What calibration says of a layer.

    Attributes:
        ranges: lowest and highest value of each activation that goes in, after smoothing.
        smooth: factors on the channels of the activation, which the weights take back; None: one for all.
        shift: what is added to the bias of each channel, against the mean error of rounding.
        peaks: of the weights in an attention, the largest times the number of frames: (1, heads, 1, 1).
    """

    ranges: tuple[tuple[float, float], ...]
    smooth: Floats | None = None
    shift: Floats | None = None
    peaks: Floats | None = None


class Forms:
    """Writes layers of one graph in their quantized form; each activation is quantized once for all that take it."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._nodes: dict[tuple[object, ...], Node] = {}

    def inputs(self, product: Product, learnt: Learnt) -> dict[int, Port]:
        """The quantized factors of a product by its ports. They stand beside the float ones."""
        quantized = {}
        for port, limits in zip(product.ports, learnt.ranges, strict=True):
            taken = self._spread(product, port, product.node.input_value(port), learnt)
            quantized[port] = self._activation(product, port, taken, limits, learnt.smooth)
        if product.constant is not None:
            quantized[1] = self._weight(product, learnt.smooth)
        return quantized

    def result(self, product: Product, learnt: Learnt, output: Node) -> Node:
        """What a product of quantized factors means: its sums, but for those of weights that were spread."""
        if learnt.peaks is None:
            return output
        return named(op.divide(output, self._factors(product, learnt.peaks)), f"{product.name}/result")

    def write(self, product: Product, learnt: Learnt) -> None:
        """Quantize a product where it stands."""
        shift = learnt.shift
        for port, limits in zip(product.ports, learnt.ranges, strict=True):
            target = _before_order(product, port)
            taken = self._spread(product, port, target.get_source_output(), learnt)
            is_from_zero = product.is_without_padding and limits[0] < 0
            target.replace_source_output(
                self._activation(product, port, taken, limits, learnt.smooth, is_from_zero=is_from_zero)
            )
            if is_from_zero:
                shift = limits[0] * self._sums(product, learnt.smooth) + (0 if shift is None else shift)
        if product.constant is not None:
            product.node.input(1).replace_source_output(self._weight(product, learnt.smooth))
        if learnt.peaks is not None:
            takers = list(product.node.output(0).get_target_inputs())
            result = self.result(product, learnt, product.node).output(0)
            for taker in takers:
                taker.replace_source_output(result)
        if shift is not None:
            _add_to_bias(product, shift)

    def _spread(self, product: Product, port: int, taken: Port, learnt: Learnt) -> Port:
        """The weights of an attention times what makes use of all steps; other factors as they are."""
        if learnt.peaks is None or port != 0:
            return taken
        factors = self._factors(product, learnt.peaks)
        return named(op.multiply(taken, factors), f"{product.name}/spread").output(0)

    def _factors(self, product: Product, peaks: Floats) -> Port:
        key = (product.name, "factors")
        if key not in self._nodes:
            self._nodes[key] = spread(product, peaks, f"{product.name}/factors").get_node()
        return self._nodes[key].output(0)

    def _sums(self, product: Product, smooth: Floats | None) -> Floats:
        """Of each output channel, the sum of its weights as they are stored."""
        values, scales = quantize_weight(_divided(product, smooth), product.channel_axes, self._types)
        others = tuple(axis for axis in range(values.ndim) if axis not in product.channel_axes)
        sums: Floats = (values * scales.astype(np.float64)).sum(axis=others).ravel().astype(np.float32)
        return sums

    def _activation(
        self,
        product: Product,
        port: int,
        taken: Port,
        limits: tuple[float, float],
        smooth: Floats | None,
        *,
        is_from_zero: bool = False,
    ) -> Port:
        name = f"{product.name}/{port}"
        factors = b"" if smooth is None else smooth.tobytes()
        key = (taken.get_node().friendly_name, taken.get_index(), limits, factors, is_from_zero)
        if key not in self._nodes:
            if smooth is not None:
                shape = [1] * len(taken.get_partial_shape())
                axis = product.channels_axis(taken)
                shape[axis] = smooth.size
                smooth = smooth.reshape(shape)
                # Limits of each channel do what factors do and cost nothing; of channels that stand last, OpenVINO
                # 2026.4 mixes them up.
                if axis != CHANNELS_FIRST:
                    taken = named(op.multiply(taken, constant(smooth, f"{name}/smooth")), f"{name}/smoothed").output(0)
                    smooth = None
            self._nodes[key] = _fake_quantize(taken, limits, name, is_from_zero, smooth)
        return self._nodes[key].output(0)

    def _weight(self, product: Product, smooth: Floats | None) -> Port:
        integers, scales = quantize_weight(_divided(product, smooth), product.channel_axes, self._types)
        stored = constant(integers, product.constant.friendly_name)  # type: ignore[union-attr]
        wide = named(op.convert(stored, "f32"), f"{product.name}/wide")
        scale = constant(scales, f"{product.name}/scale")
        return named(op.multiply(wide, scale), f"{product.name}/weight").output(0)


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


def _divided(product: Product, smooth: Floats | None) -> Array:
    """The weight without the factors that its activation has been given."""
    values = product.weight
    return values if smooth is None else values / smooth.reshape(product.inputs_shape)


def _before_order(product: Product, port: int) -> Any:
    """The input at which to quantize: where the order of axes is made for the product, before that, to move bytes."""
    target = product.node.input(port)
    is_moved = product.kind == "convolution" or (product.is_mix and port == 1)
    while is_moved and target.get_source_output().get_node().get_type_name() in ORDERS:
        target = target.get_source_output().get_node().input(0)
    return target


def _add_to_bias(product: Product, shift: Floats) -> None:
    """Add to what follows a product, an addition of a constant if there is one."""
    add, name = bias(product.node), f"{product.name}/bias"
    if add is not None:
        node, port = add
        values = np.asarray(source(node.input_value(port)).data)
        node.input(port).replace_source_output(constant(values + shift.reshape(values.shape), name).output(0))
        return
    rank = len(product.node.get_output_partial_shape(0))
    shape = [-1] if product.node.get_type_name() == "MatMul" else [1, -1, *[1] * (rank - 2)]
    takers = list(product.node.output(0).get_target_inputs())
    moved = named(op.add(product.node, constant(shift.reshape(shape), name)), f"{name}/added").output(0)
    for taker in takers:
        taker.replace_source_output(moved)


def _fake_quantize(
    port: Port, limits: tuple[float, float], name: str, is_from_zero: bool, smooth: Floats | None
) -> Node:
    """The steps of a range, for channels times `smooth`; as numbers from zero on, `is_from_zero`, less its lowest."""
    taken = outputs = [number(end, f"{name}/{what}") for what, end in zip(ENDS, limits, strict=True)]
    if smooth is not None:
        taken = [constant(np.float32(end) / smooth, f"{name}/{what}s") for what, end in zip(ENDS, limits, strict=True)]
    if is_from_zero:
        outputs = [number(0.0, f"{name}/zero"), number(limits[1] - limits[0], f"{name}/width")]
    return named(op.fake_quantize(port, *taken, *outputs, LEVELS), f"{name}/quantized")
