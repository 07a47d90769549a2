"""Graphs are joined of the conv stack and what is behind it: they compute what the module does that they are for."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from checkpoints import make_model
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.heads import head_graphs
from edgespeech_export.writers.tracing import trace
from edgespeech_export.writers.unmasked import unmasked
from edgespeech_runtime.choices import Task
from kinds import HEAD_KINDS

TASKS: dict[str, Task] = {"ForSequenceClassification": "audio-classification", "ForXVector": "audio-xvector"}
SHORT: dict[str, Any] = {"conv_dim": [16, 12], "conv_kernel": [10, 8], "conv_stride": [8, 8]}  # 64 samples a frame
SAMPLES, REAL = 24000, 20000


def ctc_graphs() -> list[GraphSource]:
    model = make_model("wav2vec2", weights="edgespeech", **SHORT, num_hidden_layers=3)
    return head_graphs("ctc", model.requires_grad_(False), 32)


def given(source: GraphSource) -> dict[str, Any]:
    random = np.random.default_rng(0)
    values = {
        "input_values": random.standard_normal((2, SAMPLES)).astype(np.float32),
        "input_lengths": np.array([SAMPLES, REAL]),
        "patch_mean": 0.1 * random.standard_normal(10).astype(np.float32),
        "patch_spread": 0.3 * random.standard_normal((10, 10)).astype(np.float32),
    }
    return {spec.name: values[spec.name] for spec in source.inputs}


def difference(source: GraphSource) -> float:
    """Of what the graph gives from what the module gives, relative to its size."""
    values = given(source)
    model = trace(source, lambda frames: 3200).whole()
    (output,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, values)
    with torch.no_grad():
        expected = source.module(*map(torch.from_numpy, values.values())).numpy()
    return float(np.abs(output - expected).max() / np.abs(expected).max())


def test_graphs_of_ctc_share_what_is_behind_the_conv_stack() -> None:
    single, batch, window = ctc_graphs()
    assert single.parts[1] is window.parts[1]
    assert max(difference(source) for source in (single, batch, window)) < 1e-5
    derived, traced = (
        trace(replace(source, parts=()), lambda frames: 3200).model
        for source in (single.parts[1], replace(single.parts[1], masked=None, kept={}))
    )
    assert [node.op_type for node in derived.graph.node] == [node.op_type for node in traced.graph.node]


def masked(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A graph that takes "x" and "lengths" and gives "y", with the constants "axis", "frames" and "half"."""
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto
    ports = [info("x", kind.FLOAT, ["batch", 4]), info("lengths", kind.INT64, ["batch"])]
    constants = {"axis": np.array([1]), "frames": np.arange(4), "half": np.array([0.5], np.float32)}
    stored = [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = onnx.helper.make_graph(list(nodes), "masked", ports, [info("y", kind.FLOAT, None)], stored)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


MASK = (
    onnx.helper.make_node("Relu", ["x"], ["r"]),
    onnx.helper.make_node("Unsqueeze", ["lengths", "axis"], ["column"]),
    onnx.helper.make_node("Less", ["frames", "column"], ["real"]),
    onnx.helper.make_node("Cast", ["real"], ["mask"], to=onnx.TensorProto.FLOAT),
)


def test_a_mask_that_hides_nothing_goes_away() -> None:
    hidden = [
        onnx.helper.make_node("Not", ["real"], ["padding"]),
        onnx.helper.make_node("Cast", ["padding"], ["float"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", ["float", "half"], ["bias"]),
        onnx.helper.make_node("Mul", ["r", "mask"], ["m"]),
        onnx.helper.make_node("Add", ["m", "bias"], ["s"]),
        onnx.helper.make_node("Neg", ["s"], ["y"]),
    ]
    model = masked(*MASK, *hidden)
    derived = unmasked(model, "lengths")
    assert derived is not None
    assert [node.op_type for node in derived.graph.node] == ["Relu", "Neg"]
    values = {"x": np.array([[1, -2, 3, 4]], np.float32)}
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, {**values, "lengths": np.array([4])}
    )
    (found,) = onnxruntime.InferenceSession(derived.SerializeToString()).run(None, values)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "node",
    [
        onnx.helper.make_node("ReduceMean", ["mask"], ["y"]),  # the share of real frames
        onnx.helper.make_node("Mul", ["half", "mask"], ["y"]),  # would lose its shape
        onnx.helper.make_node("Add", ["r", "mask"], ["y"]),
    ],
)
def test_what_else_is_done_with_lengths_is_not_derived(node: onnx.NodeProto) -> None:
    assert unmasked(masked(*MASK, node), "lengths") is None


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "xvector-weighted" else pytest.mark.slow) for kind in HEAD_KINDS]
)
def test_heads_are_told_which_frames_are_real(kind: str) -> None:
    family, head, options = HEAD_KINDS[kind]
    model = make_model(family, weights="edgespeech", head=head, **options)
    size = model.config.xvector_output_dim if head == "ForXVector" else model.config.num_labels
    _, batch, *_ = head_graphs(TASKS.get(head, "audio-frame-classification"), model.requires_grad_(False), size)
    assert difference(batch) < 1e-5
