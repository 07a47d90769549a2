"""Frames with ranges of their own, rounded by the scale of each frame instead of divided before all are rounded alike.

`quantization.onnx.frames` divides each frame by its peak and rounds with one scale for all. Scale and peak multiplied
are a scale for each frame, by which rounding divides anyway: a pass over the activation less.
"""

import numpy as np
import onnx

from edgespeech_calib.quantization.onnx.fused.layout import is_quantization
from edgespeech_calib.quantization.onnx.network import Network
from edgespeech_calib.quantization.onnx.writer import GraphWriter


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Write the rounding of divided frames as one by a scale for each frame."""
    for node in network.nodes:
        parts = _divided(node, network)
        if parts is None:
            writer.keep(node)
            continue
        source, peaks = parts
        scale, zero = node.input[1:3]
        rows = writer.integers(-1)
        scales = writer.add("Reshape", [writer.add("Mul", [peaks, scale]), rows])
        zeros = writer.add("Expand", [zero, writer.add("Shape", [scales])])
        width = writer.add("Shape", [source], start=-1)
        frames = writer.add("Reshape", [source, writer.add("Concat", [rows, width], axis=0)])
        rounded = writer.add("QuantizeLinear", [frames, scales, zeros], axis=0)
        writer.add("Reshape", [rounded, writer.add("Shape", [source])], node.output[0], node.name)


def _divided(node: onnx.NodeProto, network: Network) -> tuple[str, str] | None:
    """What is divided by its frames' peaks before a node rounds it, and the peaks; None where nothing is."""
    if node.op_type != "QuantizeLinear" or not is_quantization(node, network):
        return None
    product = network.producers.get(node.input[0])
    if product is None or product.op_type != "Mul" or len(network.consumers[node.input[0]]) != 1:
        return None
    source, inverse = product.input
    quotient = network.producers.get(inverse)
    if quotient is None or quotient.op_type != "Div" or not _is_one(quotient.input[0], network):
        return None
    reduced = [consumer for consumer in network.consumers[source] if consumer.op_type == "ReduceMax"]
    is_last = len(reduced) == 1 and network.constant(reduced[0].input[1]).tolist() == [-1]
    return (source, str(quotient.input[1])) if is_last else None


def _is_one(name: str, network: Network) -> bool:
    return name in network.initializers and bool(np.all(network.constant(name) == 1))
