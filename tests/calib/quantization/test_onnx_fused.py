"""Graphs rewritten for ONNX Runtime against the same graphs in standard operators."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from edgespeech_calib.quantization.onnx.encoder import OnnxEncoder
from edgespeech_calib.quantization.onnx.fused import attention, blocks, first, fused, norms, products
from edgespeech_calib.quantization.onnx.network import Network
from edgespeech_calib.quantization.onnx.writer import GraphWriter
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_runtime.bundle.folder import open_bundle

TYPES = Types("uint8", "int8", False, "")
EXACT = 100.0  # dB, of sums in another order
ROUNDED = 40.0  # dB: numbers that lie between two steps may be rounded apart
LAYERS = 2  # of the tiny transformers
KINDS = ("wav2vec2-group", "unispeech-stable")  # a group norm behind the first convolution, layer norms behind all


def audio(batch: int = 1, samples: int = 6000) -> np.ndarray:
    """Noise, normalised: (batch, samples)."""
    values = np.random.default_rng(3).standard_normal((batch, samples))
    return ((values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)).astype(np.float32)


def utterances() -> Iterator[np.ndarray]:
    """What is calibrated on."""
    return iter([audio()])


def decibels(signal: np.ndarray, other: np.ndarray) -> float:
    """Ratio of the signal to its difference from another."""
    return float(10 * np.log10(np.square(signal).sum() / max(np.square(signal - other).sum(), 1e-30)))


class Both:
    """A graph in INT8 as the quantizer writes it in standard operators, and rewritten."""

    def __init__(self, bundle: Path) -> None:
        backend = OnnxEncoder(open_bundle(bundle), QuantizationOptions(), TYPES)
        backend.calibrate(utterances, lambda text: None)
        self.network = Network.read(bundle / "single.onnx")
        self.standard = backend._quantized(self.network, frozenset())
        self.rewritten = fused(self.standard, self.network)

    def run(self, model: onnx.ModelProto, values: np.ndarray) -> np.ndarray:
        """Run a graph whose weights lie in the bundle."""
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(self.network.folder)
        )
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        result: np.ndarray = session.run(None, {"input_values": values})[0]
        return result


@pytest.fixture(scope="module")
def both_of(float_bundle: Any) -> Any:
    """Quantize a kind, once."""
    made: dict[str, Both] = {}

    def make(kind: str) -> Both:
        if kind not in made:
            made[kind] = Both(float_bundle(kind, "onnx"))
        return made[kind]

    return make


def operators(model: onnx.ModelProto) -> Counter[str]:
    """How often each operator stands in a graph, those in its bodies of Scan too."""
    counted: Counter[str] = Counter()
    for node in model.graph.node:
        counted[node.op_type] += 1
        for entry in node.attribute:
            counted.update(inner.op_type for inner in entry.g.node)
    return counted


# One frame, one frame and a hop less a sample, a block of the first convolution and one frame more, several blocks.
@pytest.mark.parametrize("samples", [400, 719, 720, 5 * 1023 + 10, 5 * 1024 + 10, 6000, 12345])
@pytest.mark.parametrize("kind", KINDS)
def test_rewritten_graph_computes_the_same(kind: str, samples: int, both_of: Any) -> None:
    both, values = both_of(kind), audio(2, samples)
    standard, rewritten = both.run(both.standard, values), both.run(both.rewritten, values)
    assert standard.shape == rewritten.shape
    assert decibels(standard, rewritten) > ROUNDED - 10
    alone = np.concatenate([both.run(both.rewritten, row[None]) for row in values])
    assert decibels(alone, rewritten) > ROUNDED


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rewritten(kind: str, both_of: Any) -> None:
    both = both_of(kind)
    before, after = operators(both.standard), operators(both.rewritten)
    assert after["MultiHeadAttention"] == before["Softmax"] == LAYERS
    assert after["MatMulIntegerToFloat"] == before["MatMul"] - 2 * LAYERS
    assert after["MatMul"] + after["Gemm"] <= 4  # the first convolution, and what its group norm is worked out by
    assert after["Scan"] == before["Gather"] + 1  # each convolution of several taps but the positional
    assert after["InstanceNormalization"] == 0
    assert after["LayerNormalization"] <= before["LayerNormalization"]


@pytest.mark.parametrize(
    ("kind", "module"),
    [(kind, module) for kind in KINDS for module in (first, attention)],
    ids=lambda each: each if isinstance(each, str) else each.__name__.rpartition(".")[2],
)
def test_float_graph_is_the_same_by_each_rewrite(kind: str, module: Any, both_of: Any) -> None:
    both, values = both_of(kind), audio(2)
    writer = GraphWriter("test_")
    module.rewrite(both.network, writer)
    model = writer.model(both.network)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    assert decibels(both.run(both.network.model, values), both.run(model, values)) > EXACT


@pytest.mark.parametrize(("shift", "norms_left"), [(2.0, 1), (3.0, 2)])
def test_norm_that_is_a_multiple_of_another_is_not_computed_again(shift: float, norms_left: int) -> None:
    scales = {"scale": np.array([1.0, -2.0, 0.5]), "shift": np.array([0.0, 1.0, -1.0])}
    scales |= {"scale_2": 2 * scales["scale"], "shift_2": shift * scales["shift"]}
    model = onnx.parser.parse_model(
        """
        <ir_version: 10, opset_import: ["" : 20]>
        norms (float[batch, frames, 3] input_values) => (float[batch, frames, 3] y) {
            one = LayerNormalization(input_values, scale, shift)
            two = LayerNormalization(input_values, scale_2, shift_2)
            y = Add(one, two)
        }
        """
    )
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in scales.items()
    )
    writer = GraphWriter("test_")
    norms.rewrite(Network(model, Path()), writer)
    rewritten = writer.model(Network(model, Path()))
    assert operators(rewritten)["LayerNormalization"] == norms_left
    values = audio(2, 15).reshape(2, 5, 3)
    one, other = (
        onnxruntime.InferenceSession(each.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"input_values": values}
        )[0]
        for each in (model, rewritten)
    )
    assert decibels(one, other) > EXACT


def test_graph_without_anything_known_stays_as_it_is(both_of: Any) -> None:
    nodes = [onnx.helper.make_node("Softmax", ["input_values"], ["y"], axis=-1)]
    info = onnx.helper.make_tensor_value_info
    given = info("input_values", onnx.TensorProto.FLOAT, ["batch", "samples"])
    graph = onnx.helper.make_graph(nodes, "small", [given], [info("y", onnx.TensorProto.FLOAT, None)])
    model = onnx.helper.make_model(graph)
    for module in (first, products, norms, attention, blocks):
        network, writer = Network(model, Path()), GraphWriter("test_")
        module.rewrite(network, writer)
        assert [node.op_type for node in writer.model(network).graph.node] == ["Softmax"]
