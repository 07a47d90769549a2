"""Bundles of the tone language that compute for a while, in many small steps: to be interrupted."""

from pathlib import Path

import numpy as np
import onnx
import tone_bundles
from onnx import helper, numpy_helper
from tones import TOKENS, tone_graph

WIDTH = 512
STEPS = 300
FRAMES = 4_000  # of a long utterance: 0.6 TFLOP, many seconds of one core
SOME_FRAMES = 300  # half a second


def slow_graph(with_lengths: bool) -> onnx.ModelProto:
    """The graph of the tones with a chain of matrix products behind it, of which nothing is added to the logits."""
    model = tone_graph(with_lengths)
    graph = model.graph
    graph.node[-1].output[0] = "fast"
    random = np.random.default_rng(0)
    weights = {
        "wide": random.standard_normal((len(TOKENS), WIDTH)) / 10,
        "square": random.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5,
        "narrow": random.standard_normal((WIDTH, len(TOKENS))),
        "nothing": np.zeros(len(TOKENS)),
    }
    graph.initializer.extend(numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items())
    nodes = [helper.make_node("MatMul", ["fast", "wide"], ["step0"])]
    for index in range(STEPS):
        nodes.append(helper.make_node("MatMul", [f"step{index}", "square"], [f"product{index}"]))
        nodes.append(helper.make_node("Tanh", [f"product{index}"], [f"step{index + 1}"]))
    nodes += [
        helper.make_node("MatMul", [f"step{STEPS}", "narrow"], ["back"]),
        helper.make_node("Mul", ["back", "nothing"], ["zero"]),
        helper.make_node("Add", ["fast", "zero"], ["logits"]),
    ]
    graph.node.extend(nodes)
    return model


def build(engine: str, folder: Path) -> Path:
    """Write the bundle of an engine into an empty folder."""
    values, logits = tone_bundles.golden_arrays()
    graphs = tone_bundles.WRITERS[engine](folder, slow_graph)
    return tone_bundles.finish(engine, folder, graphs, {"input_values": values, "logits": logits})
