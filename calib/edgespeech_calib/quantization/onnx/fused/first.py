"""The first convolution, over samples, as a product over patches of the waveform, with its channels last.

As in `edgespeech_export.writers.channels_last`: a group norm behind it needs no pass over what the convolution gives,
because mean and variance of its channels follow from those of the patches. With lengths, as in padded batches, the norm
is written otherwise, and the convolution stays.
"""

import numpy as np
import onnx
from edgespeech_export.writers.channels_last import cosines

from edgespeech_calib.quantization.onnx.fused.layout import SWAP
from edgespeech_calib.quantization.onnx.network import Array, Network, attributes
from edgespeech_calib.quantization.onnx.writer import GraphWriter

PREFIX = "first_"  # of the names of new nodes and values
MOST_TAPS = 32  # of longer ones, patches would be many times the waveform


def rewrite(network: Network, writer: GraphWriter) -> None:
    """Write a convolution over samples, and the group norm behind it, as one product."""
    norms = {node.output[0]: node for node in network.nodes if node.op_type == "InstanceNormalization"}
    for node in network.nodes:
        conv = network.producers.get(node.input[0]) if node.output[0] in norms else node
        if conv is None or not _is_first(conv, network):
            writer.keep(node)
        elif conv is not node:
            _normed(conv, node, network, writer)
        elif _is_followed_by_transpose(conv, network):
            _plain(conv, network, writer)
        else:
            writer.keep(node)  # of a group norm, dropped where nothing reads it


def _is_first(node: onnx.NodeProto, network: Network) -> bool:
    if node.op_type != "Conv" or node.input[1] not in network.initializers:
        return False
    settings, shape = attributes(node), network.shape(node.input[1])
    is_plain = not any(settings.get("pads", ())) and set(settings.get("dilations", (1,))) == {1}
    is_padded = settings.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
    return is_plain and not is_padded and len(shape) == 3 and shape[1] == 1 and shape[2] <= MOST_TAPS


def _is_followed_by_transpose(conv: onnx.NodeProto, network: Network) -> bool:
    consumers = network.consumers[conv.output[0]]
    return len(consumers) == 1 and consumers[0].op_type == "Transpose"


def _plain(conv: onnx.NodeProto, network: Network, writer: GraphWriter) -> None:
    """A convolution with its bias; patches get a last entry of 1, which the bias is multiplied with."""
    weight = _weight(conv, network)
    bias = network.constant(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else np.zeros(len(weight.T))
    matrix = np.concatenate([weight, bias[None].astype(np.float32)])
    name = writer.constant(matrix, f"{conv.input[1]}_patches")
    product = writer.add("MatMul", [_with_ones(_patches(conv, network, writer), writer), name], name=conv.name)
    writer.add("Transpose", [product], conv.output[0], perm=SWAP)


def _normed(conv: onnx.NodeProto, norm: onnx.NodeProto, network: Network, writer: GraphWriter) -> None:
    """A convolution whose channels are normed over time: a factor and a bias of each channel, worked out here."""
    weight = writer.constant(_weight(conv, network), f"{conv.input[1]}_patches")
    scale, shift = (writer.constant(network.constant(name)[None, None], f"{name}_row") for name in norm.input[1:])
    epsilon = writer.scalar(np.array(attributes(norm).get("epsilon", 1e-5), np.float32))
    patches = _patches(conv, network, writer)
    centred = writer.add("Sub", [patches, writer.add("ReduceMean", [patches, writer.integers(2)])])
    sums = writer.add("MatMul", [centred, writer.add("Transpose", [centred], perm=SWAP)])  # (batch, taps, taps)
    frames = writer.add("Cast", [writer.add("Shape", [patches], start=2, end=3)], to=onnx.TensorProto.FLOAT)
    covariance = writer.add("Div", [sums, frames])
    squares = writer.add("Mul", [writer.add("MatMul", [covariance, weight]), weight])
    variance = writer.add("ReduceSum", [squares, writer.integers(1)])  # (batch, 1, channels)
    deviation = writer.add("Sqrt", [writer.add("Add", [variance, epsilon])])
    scaled = writer.add("Mul", [weight, writer.add("Div", [scale, deviation])])
    shifts = writer.add("Expand", [shift, writer.add("Shape", [variance])])
    matrix = writer.add("Concat", [scaled, shifts], axis=1)  # (batch, taps + 1, channels)
    product = writer.add("MatMul", [_with_ones(centred, writer), matrix], name=conv.name)
    writer.add("Transpose", [product], norm.output[0], perm=SWAP)


def _weight(conv: onnx.NodeProto, network: Network) -> Array:
    """The weight (taps, channels) for patches in the cosine basis."""
    weight = network.constant(conv.input[1])[:, 0].astype(np.float64)
    values: Array = (cosines(weight.shape[1]).numpy() @ weight.T).astype(np.float32)
    return values


def _patches(conv: onnx.NodeProto, network: Network, writer: GraphWriter) -> str:
    """Patches of the waveform in the cosine basis: (batch, taps, frames)."""
    taps, settings = network.shape(conv.input[1])[2], attributes(conv)
    basis = writer.constant(cosines(taps).float().numpy()[:, None], f"cosines_{taps}")
    return writer.add("Conv", [conv.input[0], basis], strides=settings.get("strides", [1]), kernel_shape=[taps])


def _with_ones(patches: str, writer: GraphWriter) -> str:
    """(batch, taps, frames) -> (batch, frames, taps + 1), the last one 1."""
    one = writer.scalar(np.array(1, np.float32))
    return writer.add("Transpose", [writer.add("Pad", [patches, writer.integers(0, 0, 0, 0, 1, 0), one])], perm=SWAP)
