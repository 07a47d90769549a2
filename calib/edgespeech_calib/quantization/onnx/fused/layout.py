"""Channels last from one convolution to the next: transposes that undo each other go away.

Convolutions as products leave their channels first, as the float graph has them, and take them last. What lies between,
an activation function and rounding to integers, does not mind. ONNX Runtime finds some of these pairs itself, but not
those that later rewrites need gone.
"""

import onnx

from edgespeech_calib.quantization.onnx.network import Network, attributes
from edgespeech_calib.quantization.onnx.writer import GraphWriter

SWAP = [0, 2, 1]  # channels first to channels last, and back
ELEMENTWISE = ("Gelu", "Relu")  # functions of one input


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Move transposes behind functions of single elements, and drop those that come back to where they began."""
    outputs = {value.name for value in network.model.graph.output}
    swapped: dict[str, str] = {}  # of an activation, the name of its transpose
    same: dict[str, str] = {}  # of a name that is no longer written, the one that takes its place
    for original in network.nodes:
        node = renamed(original, same)
        source, output = node.input[0] if node.input else "", node.output[0]
        if _is_swap(node):
            if source in swapped and output not in outputs:
                same[output] = swapped[source]
                continue
            swapped[output] = source
            writer.keep(node)
        elif source in swapped and (node.op_type in ELEMENTWISE or is_quantization(node, network)):
            last = writer.copy(node, [swapped[source], *node.input[1:]], f"{output}_last")
            writer.add("Transpose", [last], output, perm=SWAP)
            swapped[output] = last
        else:
            writer.keep(node)


def renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    """The node with other names of its inputs."""
    if not any(name in names for name in node.input):
        return node
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[:] = [names.get(name, name) for name in node.input]
    return changed


def is_quantization(node: onnx.NodeProto, network: Network) -> bool:
    """Whether a node rounds to integers by one scale for all that it is given."""
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        return False
    return node.input[1] in network.initializers and not network.shape(node.input[1])


def _is_swap(node: onnx.NodeProto) -> bool:
    return node.op_type == "Transpose" and list(attributes(node).get("perm", ())) == SWAP
