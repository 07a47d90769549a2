"""A layer norm that is computed twice, as it is and equalised, is computed once and multiplied.

Equalised channels are those of the norm over a factor each. A pass that multiplies takes half of a norm's time.
"""

import numpy as np
import onnx

from edgespeech_calib.quantization.onnx.equalise import NORM
from edgespeech_calib.quantization.onnx.network import Array, Network
from edgespeech_calib.quantization.onnx.writer import GraphWriter

TOLERANCE = 1e-6  # of float32 vectors that differ by rounding


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Write the second of two layer norms over one input as a multiple of the first, where it is one."""
    first: dict[str, onnx.NodeProto] = {}
    for node in network.nodes:
        if node.op_type != NORM or len(node.input) < 3 or not all(x in network.initializers for x in node.input[1:]):
            writer.keep(node)
            continue
        before = first.setdefault(node.input[0], node)
        ratio = None if before is node else _ratio(before, node, network)
        if ratio is None:
            writer.keep(node)
        else:
            factors = writer.constant(ratio, f"{node.output[0]}_ratio")
            writer.add("Mul", [before.output[0], factors], node.output[0], node.name)


def _ratio(one: onnx.NodeProto, other: onnx.NodeProto, network: Network) -> Array | None:
    """What the first's channels are to be multiplied by to give the other's; None where they are no multiples."""
    if one.attribute != other.attribute:
        return None
    scale, shift = (network.constant(name) for name in one.input[1:])
    scale_of_other, shift_of_other = (network.constant(name) for name in other.input[1:])
    if not scale.all():
        return None
    ratio: Array = (scale_of_other / scale).astype(np.float32)
    is_multiple = np.isfinite(ratio).all() and np.allclose(shift * ratio, shift_of_other, rtol=TOLERANCE, atol=0)
    return ratio if is_multiple else None
