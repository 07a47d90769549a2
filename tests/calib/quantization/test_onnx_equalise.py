"""Equalisation on a small graph: a layer norm with loud channels before two linear layers."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from edgespeech_calib.quantization.onnx import equalise as onnx_equalise
from edgespeech_calib.quantization.onnx import measure as onnx_measure
from edgespeech_calib.quantization.onnx.forms import DynamicForms, StaticForms
from edgespeech_calib.quantization.onnx.network import Network
from edgespeech_calib.quantization.onnx.writer import GraphWriter
from edgespeech_calib.quantization.options import Types
from onnx import helper, numpy_helper

TYPES = Types("uint8", "int8", False, "")
CHANNELS, OUT = 16, 12


def network(folder: Path, loud: float) -> Network:
    """Samples in frames of 16, a norm, two linear layers and, past them, the norm itself; some channels are loud."""
    generator = np.random.default_rng(0)
    scale = np.ones(CHANNELS, np.float32)
    scale[::5] = loud
    weights = {
        "norm.weight": scale,
        "norm.bias": generator.standard_normal(CHANNELS).astype(np.float32) * scale,
        **{
            f"model.layers.0.{name}.weight": (generator.standard_normal((CHANNELS, OUT)) / scale[:, None]).astype("f")
            for name in ("a", "b")
        },
        "shape": np.array([1, -1, CHANNELS]),
    }
    nodes = [
        helper.make_node("Reshape", ["input_values", "shape"], ["frames"]),
        helper.make_node("LayerNormalization", ["frames", "norm.weight", "norm.bias"], ["normed"], name="norm"),
        helper.make_node("MatMul", ["normed", "model.layers.0.a.weight"], ["first"], name="first"),
        helper.make_node("MatMul", ["normed", "model.layers.0.b.weight"], ["second"], name="second"),
    ]
    outputs = ("first", "second", "normed")
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input_values", onnx.TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    file = folder / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), file)
    return Network.read(file)


def utterances() -> list[np.ndarray]:
    """Noise."""
    return [np.random.default_rng(seed).standard_normal((1, 1600)).astype(np.float32) for seed in range(3)]


def test_loud_channels_are_divided_and_quiet_ones_are_left(tmp_path: Path) -> None:
    (tmp_path / "loud").mkdir()
    loud = network(tmp_path / "loud", 200.0)
    factors = onnx_equalise.find(loud, loud.products, TYPES, lambda: iter(utterances()))
    assert set(factors) == {"layers.0.a", "layers.0.b"}
    np.testing.assert_array_equal(factors["layers.0.a"], factors["layers.0.b"])
    assert factors["layers.0.a"][::5].min() > 50 * np.delete(factors["layers.0.a"], np.s_[::5]).max()
    even = network(tmp_path, 1.0)
    assert onnx_equalise.find(even, even.products, TYPES, lambda: iter(utterances())) == {}


def test_noise_falls_and_the_norm_itself_stays(tmp_path: Path) -> None:
    small = network(tmp_path, 200.0)
    factors = onnx_equalise.find(small, small.products, TYPES, lambda: iter(utterances()))
    names = ["normed", "first", "second"]
    sizes = onnx_measure.shapes(small, names, utterances()[0])
    ratios = []
    for chosen in ({}, factors):
        finder = onnx_measure.RangeFinder(small, small.products, sizes, "minmax", chosen)
        assert finder.observe(lambda: iter(utterances())) == 3
        ranges = finder.ranges()
        forms = StaticForms(GraphWriter(), small, TYPES, chosen, ranges)
        ratios.append(onnx_measure.noise(small, small.products, forms, lambda: iter(utterances())))
    for name, before in ratios[0].items():
        assert ratios[1][name] > before + 10

    writer = GraphWriter()
    forms = StaticForms(writer, small, TYPES, factors, ranges)
    for node in small.nodes[:2]:
        writer.keep(node)
    for product in small.products:
        forms.write(product, product.output)
    onnx.save(writer.model(small), tmp_path / "int8.onnx")
    (values, *_) = utterances()
    exact, found = (
        onnxruntime.InferenceSession(str(tmp_path / file)).run(["normed", "first"], {"input_values": values})
        for file in ("small.onnx", "int8.onnx")
    )
    np.testing.assert_allclose(found[0], exact[0], rtol=1e-5, atol=1e-5)
    assert 10 * np.log10(np.square(exact[1]).sum() / np.square(exact[1] - found[1]).sum()) > 30


def test_factors_leave_equal_peaks() -> None:
    generator = np.random.default_rng(0)
    activations = (generator.standard_normal((50, 8)) * np.logspace(-2, 2, 8)).astype(np.float32)
    weights = generator.standard_normal((8, 5)).astype(np.float32)
    factors = onnx_equalise.smoothing(activations, weights)
    high, low = np.abs(activations / factors).max(0), np.abs(weights * factors[:, None]).max(1)
    np.testing.assert_allclose(high / low, high[0] / low[0], rtol=1e-4)
    activations[:, 2] = 0.0
    assert onnx_equalise.smoothing(activations, weights)[2] == 1.0


def test_dynamic_form_of_an_equalised_layer(tmp_path: Path) -> None:
    small = network(tmp_path, 200.0)
    factors = onnx_equalise.find(small, small.products, TYPES, lambda: iter(utterances()))
    plain, better = (
        onnx_measure.noise(
            small, small.products, DynamicForms(GraphWriter(), small, TYPES, chosen), lambda: iter(utterances())
        )
        for chosen in ({}, factors)
    )
    assert better["layers.0.a"] > plain["layers.0.a"] + 10
    assert better["layers.0.b"] == pytest.approx(better["layers.0.a"], abs=6)
