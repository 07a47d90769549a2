"""Factors on the channels of convolutions, on a graph of one convolution that is quantized with and without them."""

from collections.abc import Iterator

import numpy as np
import pytest
from edgespeech_calib.quantization import openvino_channels
from edgespeech_calib.quantization.openvino_channels import SPREAD, _with_zero
from edgespeech_calib.quantization.openvino_forms import Learnt, quantize
from edgespeech_calib.quantization.openvino_network import SETTINGS
from edgespeech_calib.quantization.options import Types
from edgespeech_runtime.engines.openvino import openvino

op = openvino.opset13
TYPES = Types("uint8", "int8", False, "")
NAME = "wav2vec2.feature_extractor.conv_layers.3.conv"
LOUD, QUIET = 20.0, 0.2  # sizes of channels
FRAMES = 50


def graph(turned: bool = False) -> openvino.Model:
    """One convolution (batch, 16, 1, frames) -> (batch, 8, 1, frames / 2); `turned` has frames before channels."""
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((8, 16, 1, 3)).astype(np.float32)
    weight[:, ::2] *= QUIET / LOUD  # so that all channels say as much
    given = op.parameter([1, FRAMES, 16] if turned else [1, 16, 1, FRAMES], np.float32)
    x = given
    if turned:
        x = op.transpose(op.unsqueeze(x, op.constant(np.array([1]))), op.constant(np.array([0, 3, 1, 2])))
    constant = op.constant(weight)
    constant.friendly_name = f"model.{NAME}.weight"
    made = op.convolution(x, constant, [1, 2], [0, 0], [0, 0], [1, 1])
    return openvino.Model([op.result(made)], [given], "one")


def sound(seed: int, turned: bool = False) -> np.ndarray:
    """Numbers as an activation leaves them, not below -0.17; every second channel is loud."""
    sizes = np.where(np.arange(16) % 2, QUIET, LOUD)
    values = np.maximum(np.random.default_rng(seed).standard_normal((1, 16, 1, FRAMES)) * sizes[:, None, None], -0.17)
    values = values.astype(np.float32)
    return values[:, :, 0].transpose(0, 2, 1).copy() if turned else values


def utterances(turned: bool = False) -> Iterator[np.ndarray]:
    return (sound(seed, turned) for seed in range(1, 5))


def run(model: openvino.Model, values: np.ndarray) -> np.ndarray:
    return np.array(openvino.Core().compile_model(model, "CPU", SETTINGS)([values])[0])


def noise(learnt: Learnt, turned: bool = False) -> float:
    """Signal-to-noise of the graph in integers on other sound, in dB."""
    model, values = graph(turned), sound(9, turned)
    expected = run(graph(turned), values)
    assert quantize(model, {NAME: learnt}, (), TYPES) == [NAME]
    return float(10 * np.log10(np.square(expected).sum() / np.square(run(model, values) - expected).sum()))


@pytest.mark.parametrize("turned", [False, True])
def test_quiet_channels_keep_their_steps_beside_loud_ones(turned: bool) -> None:
    plain = Learnt(((-0.17, 60.0),))
    found = openvino_channels.learn(graph(turned), {NAME: plain}, lambda: utterances(turned), None)
    assert found.keys() == {NAME}
    assert noise(found[NAME], turned) > noise(plain, turned) + 6


def test_factors_and_ranges_are_those_of_the_formula() -> None:
    heard = np.stack(list(utterances()))[:, 0, :, 0]  # (utterances, channels, frames)
    weight = np.abs(np.asarray(next(n for n in graph().get_ordered_ops() if n.get_type_name() == "Constant").data))
    factors = np.sqrt(weight.max((0, 2, 3)) / np.abs(heard).max((0, 2)))
    factors = np.clip(factors, np.median(factors) / SPREAD, np.median(factors) * SPREAD)
    for ranges, over in (("minmax", np.max), (None, np.mean)):
        learnt = openvino_channels.learn(graph(), {NAME: Learnt(((0.0, 1.0),))}, utterances, ranges)[NAME]
        assert learnt.smooth == pytest.approx(factors, rel=1e-6)
        high = over((heard.max(2) * factors).max(1))
        ((low, found),) = learnt.ranges
        assert 1 - 1e-6 <= found / high <= 1.01  # 0 has to be a step
        steps = -low / (found - low) * 255
        assert steps == pytest.approx(round(steps), abs=1e-6)


def test_layers_of_which_nothing_was_learnt_stay_out() -> None:
    assert openvino_channels.learn(graph(), {}, utterances, None) == {}


def test_a_channel_that_is_never_heard_does_no_harm() -> None:
    silent = [np.where(np.arange(16)[:, None, None] == 3, 0, values) for values in utterances()]
    found = openvino_channels.learn(graph(), {NAME: Learnt(((0.0, 1.0),))}, lambda: iter(silent), None)
    assert np.isfinite(found[NAME].smooth).all()
    nothing = [np.zeros_like(values) for values in silent]
    found = openvino_channels.learn(graph(), {NAME: Learnt(((0.0, 1.0),))}, lambda: iter(nothing), None)
    assert np.isfinite(found[NAME].smooth).all()
    assert found[NAME].ranges == ((0.0, 1.0),)


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.0, 2.0, (0.0, 2.0)), (-0.001, 2.0, (0.0, 2.0)), (-3.0, 0.0, (-3.0, 0.0))]
)
def test_zero_is_a_step(low: float, high: float, expected: tuple[float, float]) -> None:
    assert _with_zero(low, high) == expected
