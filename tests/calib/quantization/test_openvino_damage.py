"""What a layer does to the outputs, by one graph with switches, against graphs that hold it alone in integers."""

from collections.abc import Iterator

import numpy as np
import pytest
from edgespeech_calib.quantization.openvino import ranges as openvino_ranges
from edgespeech_calib.quantization.openvino.damage import damage
from edgespeech_calib.quantization.openvino.forms import quantize
from edgespeech_calib.quantization.openvino.network import SETTINGS
from edgespeech_calib.quantization.options import Types
from edgespeech_runtime.engines.openvino import openvino

op = openvino.opset13
TYPES = Types("uint8", "int8", False, "")
CHANNELS, LAYERS = 32, 3


def graph() -> openvino.Model:
    """Layers in a row; before the second one, a channel is a hundred times as large as the others."""
    generator = np.random.default_rng(0)
    x = given = op.parameter([1, 40, CHANNELS], np.float32)
    for index in range(LAYERS):
        weight = generator.standard_normal((CHANNELS, CHANNELS)).astype(np.float32) / CHANNELS**0.5
        if index == 0:
            weight[5] *= 100
        constant = op.constant(weight)
        constant.friendly_name = f"model.layers.{index}.linear.weight"
        x = op.tanh(op.matmul(x, constant, False, True)) if index else op.matmul(x, constant, False, True)
    return openvino.Model([op.result(x)], [given], "row")


def utterances() -> Iterator[np.ndarray]:
    generator = np.random.default_rng(1)
    return (generator.standard_normal((1, 40, CHANNELS)).astype(np.float32) for _ in range(3))


def run(model: openvino.Model) -> list[np.ndarray]:
    compiled = openvino.Core().compile_model(model, "CPU", SETTINGS)
    return [np.array(compiled([values])[0], np.float64) for values in utterances()]


def test_it_is_that_of_a_graph_with_this_layer_alone_in_integers() -> None:
    learnt = openvino_ranges.learn(graph(), utterances)
    found = damage(graph(), learnt, TYPES, utterances)
    assert found.keys() == learnt.keys()
    exact = run(graph())
    for name in learnt:
        model = graph()
        assert quantize(model, learnt, learnt.keys() - {name}, TYPES) == [name]
        pairs = zip(exact, run(model), strict=True)
        ratios = [np.square(a - b).sum() / np.square(a - a.mean()).sum() for a, b in pairs]
        assert found[name] == pytest.approx(np.mean(ratios), rel=0.1)
