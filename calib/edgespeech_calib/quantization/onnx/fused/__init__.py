"""Graphs in INT8 as ONNX Runtime computes them fastest on a CPU: the same numbers by fewer passes over memory.

Each module rewrites one thing of a graph whose layers are quantized already, and leaves alone what it does not know.
What comes out uses ONNX Runtime's own operators, so that graphs for other runtimes do not go through it.
"""

import onnx
from onnx import helper

from edgespeech_calib.quantization.onnx.fused import attention, blocks, first, frames, layout, norms, products
from edgespeech_calib.quantization.onnx.network import Network
from edgespeech_calib.quantization.onnx.writer import GraphWriter

DOMAIN = "com.microsoft"
# In this order: each counts on what those before it have written.
REWRITES = (
    (first.PREFIX, first.rewrite),
    ("last_", layout.rewrite),
    ("products_", products.rewrite),
    ("norms_", norms.rewrite),
    ("frames_", frames.rewrite),
    ("attention_", attention.rewrite),
    ("blocks_", blocks.rewrite),
)


def fused(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    """Return a quantized graph rewritten; weights that lie in files of the network's folder stay there."""
    for prefix, rewrite in REWRITES:
        before = Network(model, network.folder)
        writer = GraphWriter(prefix)
        rewrite(before, writer)
        model = writer.model(before)
    if DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return model
