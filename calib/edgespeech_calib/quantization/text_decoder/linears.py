"""The linear layers of a decoder's graph, as they are to be written: joined where they read the same, scales folded in.

A decoding step reads each weight once and computes little, so that what counts is how few and how large its products
are. Queries, keys and values of a layer are one product here, and the factor on the queries is in their weights: behind
them, ONNX Runtime takes it into the product with the keys, whose fastest form knows no factor.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import onnx

from edgespeech_calib.quantization.onnx.network import TRANSPOSED, Network, attributes
from edgespeech_calib.quantization.search.layers import layer_name

Floats = npt.NDArray[np.float32]

MOVES = ("Reshape", "Transpose")  # change no number


@dataclass(frozen=True)
class Linear:
    """A product with a weight where it stands in the graph."""

    node: onnx.NodeProto
    weight: str
    is_transposed: bool  # whether the weight is (out, in)
    bias: str | None

    @property
    def name(self) -> str:
        """Of the layer."""
        return layer_name(self.weight.removesuffix(TRANSPOSED))

    @property
    def source(self) -> str:
        """What goes in, by its name in the graph."""
        return str(self.node.input[0])

    @property
    def output(self) -> str:
        """What it gives."""
        return str(self.node.output[0])

    def rows(self, network: Network) -> int:
        """Outputs of the layer."""
        return network.shape(self.weight)[0 if self.is_transposed else 1]

    def matrix(self, network: Network) -> Floats:
        """Return the weight, (out, in)."""
        values = network.constant(self.weight)
        return values if self.is_transposed else np.ascontiguousarray(values.T)


@dataclass(frozen=True)
class Factor:
    """A scalar on some outputs of a linear layer, and the node that multiplies by it."""

    mul: onnx.NodeProto
    linear: str  # output of the layer
    rows: slice
    value: np.float32

    @property
    def source(self) -> str:
        """What the node multiplies."""
        return str(self.mul.input[0])


def linears(network: Network) -> list[Linear]:
    """Return all linear layers, in the order of the graph."""
    return [linear for node in network.nodes if (linear := _linear(node, network)) is not None]


def groups(linears: list[Linear], apart: frozenset[str]) -> list[tuple[Linear, ...]]:
    """Return those that read the same as one group each, in the order of the graph.

    `apart` are weights of layers that stay alone.
    """
    joined: dict[str, list[Linear]] = {}
    for linear in linears:
        joined.setdefault(linear.output if linear.weight in apart else linear.source, []).append(linear)
    return [tuple(group) for group in joined.values()]


def factors(network: Network, linears: list[Linear]) -> list[Factor]:
    """Return the scalars that may as well be in the weights: of what nobody else takes without them."""
    by_output = {linear.output: linear for linear in linears}
    return [factor for node in network.nodes if (factor := _factor(node, network, by_output)) is not None]


def _linear(node: onnx.NodeProto, network: Network) -> Linear | None:
    if node.op_type not in ("Gemm", "MatMul") or node.input[1] not in network.initializers:
        return None
    if len(network.shape(node.input[1])) != 2 or node.input[0] in network.initializers:
        return None
    if node.op_type == "MatMul":
        return Linear(node, node.input[1], False, None)
    settings = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0, **attributes(node)}
    is_plain = (settings["alpha"], settings["beta"], settings["transA"]) == (1.0, 1.0, 0)
    bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
    rows = network.shape(node.input[1])[0 if settings["transB"] else 1]
    if not is_plain or (bias is not None and (bias not in network.initializers or network.shape(bias) != (rows,))):
        return None
    return Linear(node, node.input[1], bool(settings["transB"]), bias)


def _factor(node: onnx.NodeProto, network: Network, by_output: dict[str, Linear]) -> Factor | None:
    if node.op_type != "Mul" or node.input[1] not in network.initializers or prod(network.shape(node.input[1])) != 1:
        return None
    value = np.float32(network.constant(node.input[1]).item())
    name, alone = str(node.input[0]), True
    while alone and name in network.producers and network.producers[name].op_type in MOVES:
        alone = len(network.consumers[name]) == 1
        name = str(network.producers[name].input[0])
    if not alone or len(network.consumers[name]) != 1:
        return None
    if name in by_output:
        return Factor(node, name, slice(None), value)
    for linear, rows in _parts(name, network, by_output):
        return Factor(node, linear.output, rows, value)
    return None


def _parts(name: str, network: Network, by_output: dict[str, Linear]) -> Iterator[tuple[Linear, slice]]:
    """The layer of which `name` is one of several equal parts, and its rows."""
    split = network.producers.get(name)
    if split is None or split.op_type != "Split" or split.input[0] not in by_output or len(split.input) > 1:
        return
    linear = by_output[split.input[0]]
    count, rows = len(split.output), linear.rows(network)
    if attributes(split).get("axis", 0) in (1, -1) and linear.node.op_type == "Gemm" and rows % count == 0:
        first = list(split.output).index(name) * rows // count
        yield linear, slice(first, first + rows // count)
