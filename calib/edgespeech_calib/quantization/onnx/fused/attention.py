"""Attention over all frames as one operator, which never holds the weights of all pairs of frames.

It goes block by block through keys and values ("FlashAttention", https://arxiv.org/abs/2205.14135), in float32, and
cuts the heads apart itself. With lengths, as in padded batches, ONNX Runtime has no such way, and the graph stays.
"""

from dataclasses import dataclass

import onnx

from edgespeech_calib.quantization.onnx.network import Network, attributes
from edgespeech_calib.quantization.onnx.writer import GraphWriter

DOMAIN = "com.microsoft"
HEADS, BACK, KEYS = [0, 2, 1, 3], [0, 2, 1, 3], [0, 2, 3, 1]  # permutations of (batch, frames, heads, channels)


@dataclass(frozen=True)
class Attention:
    """What one attention takes, (batch, frames, heads * channels) each, and the name of what it gives, likewise."""

    query: str
    key: str
    value: str
    heads: int
    scale: float
    output: str


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Write each attention without mask as one operator."""
    matches = {match.output: match for node in network.nodes if (match := _attention(node, network)) is not None}
    for node in network.nodes:
        match = matches.get(node.output[0])
        if match is None:
            writer.keep(node)
            continue
        inputs = [match.query, match.key, match.value]
        heads, scale = match.heads, match.scale
        writer.add("MultiHeadAttention", inputs, match.output, domain=DOMAIN, num_heads=heads, scale=scale)


def _attention(softmax: onnx.NodeProto, network: Network) -> Attention | None:
    """The attention around a softmax; None where it is not of the known form."""
    if softmax.op_type != "Softmax":
        return None
    scores = _product(network, softmax.input[0])
    mixed = _only(network, softmax.output[0], "MatMul")
    if scores is None or mixed is None or mixed.input[0] != softmax.output[0]:
        return None
    scaled = network.producers.get(scores.input[0])
    if scaled is None or scaled.op_type != "Mul" or scaled.input[1] not in network.initializers:
        return None
    factor = network.constant(scaled.input[1])
    parts = [
        _split(network, name, permutation)
        for name, permutation in ((scaled.input[0], HEADS), (scores.input[1], KEYS), (mixed.input[1], HEADS))
    ]
    joined = _only(network, mixed.output[0], "Transpose")
    output = None if joined is None else _only(network, joined.output[0], "Reshape")
    if None in parts or factor.size != 1 or joined is None or output is None or _permutation(joined) != BACK:
        return None
    (query, heads), (key, _), (value, _) = (part for part in parts if part is not None)
    if len({part[1] for part in parts if part is not None}) != 1:
        return None
    return Attention(query, key, value, heads[2], float(factor.reshape(())), output.output[0])


def _split(network: Network, name: str, permutation: list[int]) -> tuple[str, tuple[int, ...]] | None:
    """What is cut into heads and transposed to give `name`, and the shape that it is cut by."""
    transpose = network.producers.get(name)
    if transpose is None or transpose.op_type != "Transpose" or _permutation(transpose) != permutation:
        return None
    reshape = network.producers.get(transpose.input[0])
    if reshape is None or reshape.op_type != "Reshape" or reshape.input[1] not in network.initializers:
        return None
    shape = tuple(int(size) for size in network.constant(reshape.input[1]))
    is_plain = len(shape) == 4 and shape[0] == 0 and shape[1] in (0, -1) and min(shape[2:]) > 0
    return (reshape.input[0], shape) if is_plain else None


def _product(network: Network, name: str) -> onnx.NodeProto | None:
    node = network.producers.get(name)
    return node if node is not None and node.op_type == "MatMul" else None


def _only(network: Network, name: str, operator: str) -> onnx.NodeProto | None:
    """The one consumer of an activation, if it is of this operator."""
    consumers = network.consumers[name]
    return consumers[0] if len(consumers) == 1 and consumers[0].op_type == operator else None


def _permutation(node: onnx.NodeProto) -> list[int]:
    return list(attributes(node).get("perm", ()))
