"""Products of integers with the bias in them: one operator for what quantize-dequantize pairs say in four.

ONNX Runtime forms the same operator, but leaves the bias outside, which takes a pass over the product of its own.
"""

from collections.abc import Iterator

import onnx

from edgespeech_calib.quantization.onnx.fused.layout import is_quantization
from edgespeech_calib.quantization.onnx.network import Network, attributes
from edgespeech_calib.quantization.onnx.writer import GraphWriter

DOMAIN = "com.microsoft"
PRODUCT = "MatMulIntegerToFloat"


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Write products of dequantized integers as products of integers."""
    biased = {add.output[0]: product for product, add in _biases(network)}
    gone = {product.output[0] for product in biased.values()}
    for node in network.nodes:
        output = node.output[0]
        if output in gone:
            continue
        product = biased.get(output, node)
        factors = _factors(product, network)
        if factors is None:
            writer.keep(node)
            continue
        bias = "" if product is node else _vector(node, network, writer)
        writer.add(PRODUCT, [*factors, "", bias] if bias else factors, output, product.name, domain=DOMAIN)


def _factors(node: onnx.NodeProto, network: Network) -> list[str] | None:
    """The inputs of the product of integers: both factors, their scales, zero point of the first; None for no such."""
    if node.op_type != "MatMul":
        return None
    left, right = (network.producers.get(name) for name in node.input)
    if left is None or right is None or not is_quantization(left, network) or right.op_type != "DequantizeLinear":
        return None
    weight, scales = right.input[:2]
    is_stored = weight in network.initializers and len(network.shape(weight)) == 2
    # Zero points of weights are 0 in the quantizer's scheme, and the product is faster where none is given.
    if not is_stored or attributes(right).get("axis", 1) != 1 or network.constant(right.input[2]).any():
        return None
    return [left.input[0], weight, left.input[1], scales, left.input[2]]


def _biases(network: Network) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto]]:
    """Products whose one consumer adds a vector to them, and that consumer."""
    for node in network.nodes:
        consumers = network.consumers[node.output[0]]
        if len(consumers) == 1 and consumers[0].op_type == "Add" and _factors(node, network) is not None:
            add = consumers[0]
            channels = network.shape(node_weight(node, network))[-1]
            shapes = [network.shape(name) for name in add.input if name in network.initializers]
            if shapes in ([(channels,)], [(1, channels)]):
                yield node, add


def node_weight(node: onnx.NodeProto, network: Network) -> str:
    """The integers that a product is multiplied with."""
    return str(network.producers[node.input[1]].input[0])


def _vector(add: onnx.NodeProto, network: Network, writer: GraphWriter) -> str:
    """The name of what a node adds, as a vector."""
    name = next(str(name) for name in add.input if name in network.initializers)
    if len(network.shape(name)) == 1:
        return name
    return writer.constant(network.constant(name)[0], f"{name}_vector")
