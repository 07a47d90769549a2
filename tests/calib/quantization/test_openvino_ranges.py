"""Factors, ranges and corrections of layers in OpenVINO, on graphs of one product that is quantized by them."""

from collections.abc import Iterator

import numpy as np
import pytest
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.openvino import ranges as openvino_ranges
from edgespeech_calib.quantization.openvino.forms import Learnt, quantize
from edgespeech_calib.quantization.openvino.network import SETTINGS
from edgespeech_calib.quantization.openvino.ranges import ALPHA, MARGIN, SILENT_PEAK, _with_zero
from edgespeech_calib.quantization.options import Types
from edgespeech_runtime.engines.openvino import openvino

op = openvino.opset13
TYPES = Types("uint8", "int8", False, "")
NAME = "wav2vec2.feature_extractor.conv_layers.3.conv"
LOUD, QUIET = 20.0, 0.2  # sizes of channels
FRAMES, CHANNELS = 50, 16
KINDS = ("convolution", "turned", "groups", "depthwise", "linear", "flattened")


def graph(kind: str = "convolution") -> openvino.Model:
    """One product over 16 channels; "turned" and linear ones have frames before channels, others behind."""
    generator = np.random.default_rng(0)
    channels_last = kind in ("turned", "linear", "flattened")
    given = op.parameter([1, FRAMES, CHANNELS] if channels_last else [1, CHANNELS, 1, FRAMES], np.float32)
    shape = {
        "groups": (4, 2, CHANNELS // 4, 1, 3),
        "depthwise": (CHANNELS, 1, 1, 1, 3),
        "linear": (8, CHANNELS),
        "flattened": (8, CHANNELS),
    }.get(kind, (8, CHANNELS, 1, 3))
    weight = generator.standard_normal(shape).astype(np.float32)
    scales = np.where(np.arange(CHANNELS) % 2, 1, QUIET / LOUD).astype(np.float32)  # so that all say as much
    counted = {"groups": (4, 1, -1, 1, 1), "depthwise": (-1, 1, 1, 1, 1)}.get(kind, (1, -1, *[1] * (len(shape) - 2)))
    constant = op.constant(weight * scales.reshape(counted))
    constant.friendly_name = f"model.{NAME.replace('conv_layers', 'layers') if kind == 'linear' else NAME}.weight"
    if kind in ("linear", "flattened"):
        x = op.reshape(given, op.constant([-1, CHANNELS]), False) if kind == "flattened" else given
        return openvino.Model([op.result(op.matmul(x, constant, False, True))], [given], "one")
    x = given
    if kind == "turned":
        x = op.transpose(op.unsqueeze(x, op.constant(np.array([1]))), op.constant(np.array([0, 3, 1, 2])))
    convolve = op.convolution if len(shape) == 4 else op.group_convolution
    return openvino.Model([op.result(convolve(x, constant, [1, 2], [0, 0], [0, 0], [1, 1]))], [given], "one")


def sound(seed: int, kind: str = "convolution") -> np.ndarray:
    """Numbers as an activation leaves them, not below -0.17; every second channel is loud."""
    sizes = np.where(np.arange(CHANNELS) % 2, QUIET, LOUD)
    values = np.random.default_rng(seed).standard_normal((1, CHANNELS, 1, FRAMES)) * sizes[:, None, None]
    values = np.maximum(values, -0.17).astype(np.float32)
    channels_last = kind in ("turned", "linear", "flattened")
    return values[:, :, 0].transpose(0, 2, 1).copy() if channels_last else values


def utterances(kind: str = "convolution") -> Iterator[np.ndarray]:
    return (sound(seed, kind) for seed in range(1, 5))


def run(model: openvino.Model, values: np.ndarray) -> np.ndarray:
    return np.array(openvino.Core().compile_model(model, "CPU", SETTINGS)([values])[0])


def noise(learnt: dict[str, Learnt], kind: str = "convolution") -> float:
    """Signal-to-noise of the graph in integers on other sound, in dB."""
    model, values = graph(kind), sound(9, kind)
    expected = run(graph(kind), values)
    assert quantize(model, learnt, (), TYPES) == list(learnt)
    return float(10 * np.log10(np.square(expected).sum() / np.square(run(model, values) - expected).sum()))


@pytest.mark.parametrize("kind", KINDS)
def test_quiet_channels_keep_their_steps_beside_loud_ones(kind: str) -> None:
    found = openvino_ranges.learn(graph(kind), lambda: utterances(kind))
    (name,) = found
    plain = {name: Learnt(((-0.17, 60.0),))}
    assert noise(found, kind) > noise(plain, kind) + 6


def test_factors_and_ranges_are_those_of_the_formula() -> None:
    heard = np.stack(list(utterances()))[:, 0, :, 0]  # (utterances, channels, frames)
    weight = np.abs(np.asarray(next(n for n in graph().get_ordered_ops() if n.get_type_name() == "Constant").data))
    peaks = np.abs(heard).max((0, 2))
    factors = weight.max((0, 2, 3)) ** (1 - ALPHA) / np.maximum(peaks, SILENT_PEAK * peaks.max()) ** ALPHA
    learnt = openvino_ranges.learn(graph(), utterances)[NAME]
    assert learnt.smooth == pytest.approx(factors, rel=1e-6)
    high = MARGIN * (heard.max((0, 2)) * factors).max()
    ((low, found),) = learnt.ranges
    assert 1 - 1e-6 <= found / high <= 1.01  # 0 has to be a step
    steps = -low / (found - low) * 255
    assert steps == pytest.approx(round(steps), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_error_of_a_channel_is_taken_from_its_bias(kind: str) -> None:
    constant = np.zeros(CHANNELS)
    constant[3] = 30.0  # in all frames: what its weights lose by rounding is the same in each

    def spoken() -> Iterator[np.ndarray]:
        for values in utterances(kind):
            yield (values + (constant if values.shape[-1] == CHANNELS else constant[:, None, None])).astype(np.float32)

    found = openvino_ranges.learn(graph(kind), spoken)
    corrected = openvino_ranges.correct(graph(kind), found, TYPES, spoken)
    errors = []
    for learnt in (found, corrected):
        model = graph(kind)
        quantize(model, learnt, (), TYPES)
        pairs = [(run(graph(kind), values), run(model, values)) for values in spoken()]
        axes = (0, 1) if kind in ("linear", "flattened") and pairs[0][0].ndim == 3 else (0, 2, 3)
        axes = (0,) if pairs[0][0].ndim == 2 else axes
        errors.append(float(np.abs(np.mean([(after - before).mean(axes) for before, after in pairs], axis=0)).max()))
    assert errors[1] < 0.1 * errors[0]


def test_layers_that_take_the_same_share_its_factors() -> None:
    given = op.parameter([1, FRAMES, CHANNELS], np.float32)
    generator, ends = np.random.default_rng(1), []
    for name in ("q_proj", "k_proj"):
        constant = op.constant(generator.standard_normal((8, CHANNELS)).astype(np.float32))
        constant.friendly_name = f"model.layers.0.{name}.weight"
        ends.append(op.result(op.matmul(given, constant, False, True)))
    found = openvino_ranges.learn(openvino.Model(ends, [given], "two"), lambda: utterances("linear"))
    first, second = found.values()
    assert first.ranges == second.ranges
    np.testing.assert_array_equal(first.smooth, second.smooth)


def test_a_channel_that_is_never_heard_does_no_harm() -> None:
    silent = [np.where(np.arange(CHANNELS)[:, None, None] == 3, 0, values) for values in utterances()]
    assert np.isfinite(openvino_ranges.learn(graph(), lambda: iter(silent))[NAME].smooth).all()
    found = openvino_ranges.learn(graph(), lambda: iter([np.zeros_like(values) for values in silent]))
    assert np.isfinite(found[NAME].smooth).all()
    assert found[NAME].ranges == ((0.0, 1.0),)


def test_ranges_need_audio() -> None:
    with pytest.raises(QuantizationError, match="no utterance"):
        openvino_ranges.learn(graph(), lambda: iter([]))


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.0, 2.0, (0.0, 2.0)), (-0.001, 2.0, (0.0, 2.0)), (-3.0, 0.0, (-3.0, 0.0))]
)
def test_zero_is_a_step(low: float, high: float, expected: tuple[float, float]) -> None:
    assert _with_zero(low, high) == expected
