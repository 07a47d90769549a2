"""Ranges of their own for the frames of an activation, as every input shows them ("per token", "dynamic").

The inner activation of a feed-forward layer, and what attention has mixed, follow no norm: in a trained network a few
frames are a hundred times as loud as the others, and one range for all leaves those a handful of integers. Each frame
is divided by its largest magnitude before it is quantized, and the product is multiplied by it: exact in float. A few
passes over the activation and one over the product take about a quarter of the time of the integer product. Published
as token-wise quantization in ZeroQuant, https://arxiv.org/abs/2206.01861.
"""

import numpy as np

from edgespeech_calib.quantization.onnx.equalise import NORM
from edgespeech_calib.quantization.onnx.network import Network, Product, attributes
from edgespeech_calib.quantization.onnx.writer import GraphWriter

FRAMES, PEAKS = "_frames", "_peaks"  # behind the name of an activation
SILENT = np.array(1e-12, np.float32)  # what a frame of zeros is divided by


def has_frames(product: Product, network: Network) -> bool:
    """Whether each frame of what goes into a layer gets a range of its own.

    So it is for linear layers that follow no norm, and convolutions of one tap, which are such layers. A longer window
    holds frames of different peaks, and there is no one number to multiply its product by.
    """
    if product.kind == "convolution":
        settings = attributes(product.node)
        is_single = network.shape(product.weight)[2] == 1 and settings.get("strides", [1]) == [1]
        return is_single and not any(settings.get("pads", [0]))
    producer = network.producers.get(product.source)
    return product.kind == "linear" and (producer is None or producer.op_type != NORM)


def divided(writer: GraphWriter, product: Product) -> tuple[str, str]:
    """Write what goes into a layer with its frames divided by their peaks; returns both names.

    Peaks are (..., 1), of a convolution (batch, 1, frames).
    """
    source, channels = product.source, writer.integers(-1 if product.kind == "linear" else 1)
    high = writer.add("ReduceMax", [source, channels])
    low = writer.add("Neg", [writer.add("ReduceMin", [source, channels])])
    peaks = writer.add("Max", [high, low, writer.scalar(SILENT)], source + PEAKS)
    inverse = writer.add("Div", [writer.scalar(np.array(1, np.float32)), peaks])
    return writer.add("Mul", [source, inverse], source + FRAMES), peaks
