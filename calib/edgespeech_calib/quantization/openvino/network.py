"""An OpenVINO graph as the quantizer sees it: which products it holds, and where their factors come from.

It changes nothing; `openvino_stack` and `openvino_forms` do.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.engines.openvino import openvino  # without its telemetry

from edgespeech_calib.quantization.search.layers import SUFFIX, Kind, Layer, Stage, layer_name

Array: TypeAlias = npt.NDArray[Any]
Model: TypeAlias = Any  # openvino.Model
Node: TypeAlias = Any  # openvino.Node
Port: TypeAlias = Any  # an output of a node

FEATURES = "feature_extractor"
TRANSFORMER = frozenset({"feature_projection", "pos_conv_embed", "layers", "adapter"})
ATTENTION = "ScaledDotProductAttention"
PRODUCTS = frozenset({"MatMul", "Convolution", "GroupConvolution", ATTENTION})
MOVES = frozenset({"Concat", "Pad", "Reshape", "Slice", "Squeeze", "StridedSlice", "Transpose", "Unsqueeze"})
# As the runtime opens graphs: left to itself, the plug-in would compute in bfloat16 what is not in integers.
SETTINGS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
POOLED = 2  # axes of what has no frames any more
CHANNELS_FIRST = 1  # the axis in what a convolution takes
SCORES, MIX = ".scores", ".mix"  # products in attention
BEFORE_ATTENTION = MOVES | {"Add", "FakeQuantize", "Multiply"}  # from a projection to the product in attention


@dataclass(frozen=True)
class Product:
    """A layer where it stands in one graph.

    Attributes:
        name: of the layer.
        node: its MatMul, Convolution, GroupConvolution or attention.
        ports: inputs that are activations.
        constant: the weight; None for the product of two activations.
    """

    name: str
    kind: Kind
    node: Node
    ports: tuple[int, ...]
    constant: Node | None

    @property
    def is_mix(self) -> bool:
        """Whether it is the product of weights and values in an attention."""
        return self.constant is None and self.name.endswith(MIX)

    @property
    def is_without_padding(self) -> bool:
        """Whether it is a positional convolution over an input to which its zeros belong."""
        settings = self.node.get_attributes()
        return self.kind == "positional" and not any([*settings["pads_begin"], *settings["pads_end"]])

    @property
    def stage(self) -> Stage:
        """Which part of the network it belongs to."""
        path = set(self.name.split("."))
        if FEATURES in path:
            return "features"
        return "transformer" if path & TRANSFORMER else "head"

    @property
    def weight(self) -> Array:
        """Values of the weight, as the node takes them."""
        if self.constant is None:
            raise ValueError(f"{self.name} has no weight")
        return np.asarray(self.constant.data)

    @property
    def inputs_axis(self) -> int:
        """Axis of the weight that counts its input channels; of a convolution for groups, those of one."""
        if self.node.get_type_name() == "MatMul":
            return 1 if self.node.get_attributes()["transpose_b"] else 0
        return 2 if self.node.get_type_name() == "GroupConvolution" else 1

    @property
    def inputs_shape(self) -> list[int]:
        """Shape of numbers for each input channel that go with the weight."""
        shape = [1] * self.weight.ndim
        shape[self.inputs_axis] = -1
        if self.node.get_type_name() == "GroupConvolution":  # channels are counted through the groups
            shape[0] = self.weight.shape[0]
        return shape

    @property
    def input_peaks(self) -> Array:
        """Of each input channel, the largest magnitude of its weights."""
        kept = [axis for axis, size in enumerate(self.inputs_shape) if size != 1 or axis == self.inputs_axis]
        others = tuple(axis for axis in range(self.weight.ndim) if axis not in kept)
        peaks: Array = np.abs(self.weight).max(axis=others).ravel()
        return peaks

    def channels_axis(self, port: Port) -> int:
        """Axis that counts channels of an activation: of what a product takes, or of what that is in another order."""
        if self.node.get_type_name() == "MatMul":
            return -2 if self.node.get_attributes()["transpose_a"] else -1
        taken, is_turned = self.node.input_value(0), False
        while _place(taken) != _place(port) and taken.get_node().get_type_name() in MOVES:
            is_turned |= taken.get_node().get_type_name() == "Transpose"
            taken = taken.get_node().input_value(0)
        return -1 if is_turned else CHANNELS_FIRST

    @property
    def channel_axes(self) -> tuple[int, ...]:
        """Axes of the weight that count its output channels."""
        if self.node.get_type_name() == "MatMul":
            return (1 - self.inputs_axis,)
        return (0, 1) if self.node.get_type_name() == "GroupConvolution" else (0,)


def _place(port: Port) -> tuple[str, int]:
    return port.get_node().friendly_name, port.get_index()


def read(xml: Path, weights: Path) -> Model:
    """Read a graph over its file of weights."""
    return openvino.Core().read_model(str(xml), str(weights))


def products(model: Model) -> tuple[Product, ...]:
    """All layers that can be computed in integers, in the order of the graph.

    The first convolution is none of them: over a single channel there is nothing that integers would speed up. Nor is
    a layer behind pooling, which is computed once for an utterance: OpenVINO joins the rounding of its input with the
    mean before it, and what comes out is wrong (2026.4, 20 dB above what rounding costs). Of the products in attention,
    `scores` of queries and keys is one; `mix` of weights and values is one in graphs that `openvino_attention` has
    written.
    """
    return tuple(product for product in map(_product, model.get_ordered_ops()) if product is not None)


def _product(node: Node) -> Product | None:
    kind = node.get_type_name()
    if kind not in PRODUCTS:
        return None
    if kind == ATTENTION:
        return _scores(node)
    constant = source(node.input_value(1))
    if constant.get_type_name() != "Constant":
        return (_scores(node) or _mix(node)) if kind == "MatMul" else None
    name = layer_name(constant.friendly_name)
    if not constant.friendly_name.endswith(SUFFIX) or f"{FEATURES}.conv_layers.0." in name:
        return None
    if kind == "MatMul" and _is_pooled(node.input_value(0)):
        return None
    if FEATURES in name.split("."):
        return Product(name, "convolution", node, (0,), constant)
    kinds: dict[str, Kind] = {"MatMul": "linear", "Convolution": "convolution", "GroupConvolution": "positional"}
    return Product(name, kinds[kind], node, (0,), constant)


def _is_pooled(port: Port) -> bool:
    """Whether an activation has lost its frames; (batch * frames, channels) has them still."""
    node = port.get_node()
    is_flattened = node.get_type_name() == "Reshape" and len(node.input_value(0).get_partial_shape()) > POOLED
    return len(port.get_partial_shape()) == POOLED and not is_flattened


def _scores(node: Node) -> Product | None:
    names = [_projection(node.input_value(port)) for port in (0, 1)]
    if None in names or not str(names[0]).endswith(".q_proj") or not str(names[1]).endswith(".k_proj"):
        return None
    return Product(f"{str(names[0]).removesuffix('.q_proj')}{SCORES}", "attention", node, (0, 1), None)


def _mix(node: Node) -> Product | None:
    softmax = weights_of(node)
    if softmax.get_type_name() != "Softmax":
        return None
    before = softmax.input_value(0).get_node()
    if before.get_type_name() == "Add":  # of a mask
        before = before.input_value(0).get_node()
    scores = _scores(before) if before.get_type_name() == "MatMul" else None
    return scores and Product(f"{scores.name.removesuffix(SCORES)}{MIX}", "attention", node, (0, 1), None)


def weights_of(mix: Node) -> Node:
    """The node that gives a product's first factor, before what quantizes that."""
    node = mix.input_value(0).get_node()
    while node.get_type_name() in ("FakeQuantize", "Multiply"):
        node = node.input_value(0).get_node()
    return node


def _projection(port: Port) -> str | None:
    """Name of the layer that gives an activation, with nothing between but bias, factor and order."""
    node = port.get_node()
    while node.get_type_name() in BEFORE_ATTENTION:
        node = node.input_value(0).get_node()
    if node.get_type_name() != "MatMul":
        return None
    return layer_name(source(node.input_value(1)).friendly_name)


def source(port: Port) -> Node:
    """The constant behind a weight's input, also of one that is stored in integers; or whatever node gives it."""
    node = port.get_node()
    if node.get_type_name() == "Multiply" and node.input_value(0).get_node().get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node.input_value(0).get_node() if node.get_type_name() == "Convert" else node


def bias(node: Node) -> tuple[Node, int] | None:
    """The addition of a constant that follows a product, and the port of the constant."""
    consumers = list(node.output(0).get_target_inputs())
    if len(consumers) != 1 or consumers[0].get_node().get_type_name() != "Add":
        return None
    add = consumers[0].get_node()
    other = 1 - consumers[0].get_index()
    return (add, other) if source(add.input_value(other)).get_type_name() == "Constant" else None


def layers(model: Model, samples: int) -> tuple[Layer, ...]:
    """The layers of a graph, with their work on an utterance of so many samples."""
    fixed = model.clone()
    fixed.reshape([1, samples])
    by_name: dict[str, Layer] = {}
    for product in products(fixed):
        before = by_name[product.name].macs if product.name in by_name else 0
        macs = before + product_macs(product.node)
        by_name[product.name] = Layer(product.name, product.kind, product.stage, macs)
    return tuple(by_name.values())


def work(model: Model, samples: int) -> Iterator[tuple[str, int]]:
    """Name and multiply-accumulates of every product, on an utterance of so many samples; those of the scores in an
    attention bear its name, those of the mix none.
    """
    fixed = model.clone()
    fixed.reshape([1, samples])
    for node in fixed.get_ordered_ops():
        if node.get_type_name() in PRODUCTS:
            yield node.friendly_name, product_macs(node)
        if node.get_type_name() == ATTENTION:
            yield "", product_macs(node)  # the mix, of the size of the scores


def product_macs(node: Node) -> int:
    """Multiply-accumulates of a product in a graph of fixed shapes."""
    kind, output = node.get_type_name(), list(node.output(0).shape)
    shapes = [list(port.get_shape()) for port in node.input_values()]
    if kind == ATTENTION:  # the scores
        return prod(shapes[0]) * shapes[1][-2]
    if kind == "MatMul":
        return prod(output) * shapes[0][-2 if node.get_attributes()["transpose_a"] else -1]
    inner = shapes[1][1:] if kind == "Convolution" else shapes[1][2:]
    return prod(output) * prod(inner)


def named(nodes: Iterable[Node]) -> dict[str, Node]:
    """Nodes by name."""
    return {node.friendly_name: node for node in nodes}
