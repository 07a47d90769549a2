"""Attention and positional convolution in the forms for integers, against the forms that an export holds."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgespeech_calib.quantization.openvino import long as openvino_long
from edgespeech_calib.quantization.openvino import noise as openvino_noise
from edgespeech_calib.quantization.openvino.attention import write_attention
from edgespeech_calib.quantization.openvino.encoder import OpenvinoEncoder
from edgespeech_calib.quantization.openvino.forms import Learnt, quantize
from edgespeech_calib.quantization.openvino.network import ATTENTION, SETTINGS, products, read
from edgespeech_calib.quantization.openvino.stack import write_padding
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.engines.openvino import openvino
from kinds import KINDS

ENGINE = "openvino"  # see `usual`
TYPES = Types("uint8", "int8", False, "")
SAMPLES = 6000
KIND = "wav2vec2-group"


def noise(samples: int, seed: int) -> np.ndarray:
    """(1, samples)."""
    return np.random.default_rng(seed).standard_normal((1, samples)).astype(np.float32)


def graph(bundle: Path, name: str) -> Any:
    """A graph of a float bundle."""
    entry = open_bundle(bundle).manifest.graphs[name]
    return read(bundle / entry.file, bundle / str(entry.weights))


def run(model: Any, *inputs: np.ndarray) -> np.ndarray:
    """The first output of a model as the runtime computes it."""
    return np.array(openvino.Core().compile_model(model, "CPU", SETTINGS)(list(inputs))[0])


def in_form(bundle: Path, name: str) -> Any:
    """The graph with the forms under test."""
    model = graph(bundle, name)
    write_padding(model)
    write_attention(model)
    return model


@pytest.fixture(scope="module")
def backend(float_bundle: Any) -> OpenvinoEncoder:
    """One that was calibrated."""
    made = OpenvinoEncoder(open_bundle(float_bundle(KIND, "openvino")), QuantizationOptions(), TYPES)
    made.calibrate(lambda: iter([noise(5 * SAMPLES, seed) for seed in range(3)]), lambda text: None)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_in_float_the_forms_change_nothing(kind: str, float_bundle: Any) -> None:
    bundle = float_bundle(kind, "openvino")
    values = noise(SAMPLES, 1)
    batch = np.concatenate([values, np.pad(values[:, :3000], ((0, 0), (0, SAMPLES - 3000)))])
    for name, inputs in (("single", (values,)), ("batch", (batch, np.array([SAMPLES, 3000])))):
        before, model = graph(bundle, name), in_form(bundle, name)
        layers = sum(node.get_type_name() == ATTENTION for node in before.get_ordered_ops())
        assert sum(product.is_mix for product in products(model)) == layers > 0
        assert not [node for node in model.get_ordered_ops() if node.get_type_name() == ATTENTION]
        np.testing.assert_allclose(run(model, *inputs), run(before, *inputs), atol=1e-4)


def test_the_positional_convolution_over_unsigned_numbers_is_that_over_signed_ones(float_bundle: Any) -> None:
    bundle = float_bundle(KIND, "openvino")
    learnt = {"wav2vec2.encoder.pos_conv_embed.conv": Learnt(((-2.0 * 128 / 127, 2.0),))}
    signed, unsigned = graph(bundle, "single"), in_form(bundle, "single")
    values = noise(SAMPLES, 2)
    found = []
    for model in (signed, unsigned):
        assert quantize(model, learnt, (), TYPES) == list(learnt)
        found.append(run(model, values))
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)
    ends = {node.friendly_name: node for node in unsigned.get_ordered_ops()}
    (quantized,) = [node for name, node in ends.items() if name.endswith("pos_conv_embed.conv/0/quantized")]
    assert float(quantized.input_value(3).get_node().data) == 0  # of the numbers that are stored


def test_weights_over_many_frames_keep_their_accuracy(backend: OpenvinoEncoder) -> None:
    learnt = {name: layer for name, layer in backend._require_learnt().items() if layer.peaks is not None}
    assert len(learnt) == sum(layer.name.endswith(".mix") for layer in backend.layers)
    even = {name: replace(layer, peaks=None) for name, layer in learnt.items()}  # steps of 1 / 255 for all lengths

    def long() -> Iterator[np.ndarray]:
        return iter([noise(700 * 320, 5)])

    spread, fixed = (openvino_noise.noise(backend._form("single"), layers, TYPES, long) for layers in (learnt, even))
    for name, ratio in spread.items():
        assert ratio > 20
        assert ratio > fixed[name] + 6


@pytest.mark.parametrize("samples", [1600, 20_000, 100_000])
def test_what_is_learnt_holds_for_other_audio_of_any_length(samples: int, backend: OpenvinoEncoder) -> None:
    learnt = {name: layer for name, layer in backend._require_learnt().items() if layer.peaks is not None}
    other = [noise(samples, 7), noise(samples, 8)]
    found = openvino_noise.noise(backend._form("single"), learnt, TYPES, lambda: iter(other))
    assert found.keys() == learnt.keys()
    assert min(found.values()) > 20


def test_a_mix_in_float_does_not_count_as_integers(backend: OpenvinoEncoder, tmp_path: Path) -> None:
    values = noise(SAMPLES, 3)
    mixes = [layer.name for layer in backend.layers if layer.name.endswith(".mix")]
    shares = []
    for name, floating in (("all", ()), ("one", mixes[:1]), ("none", mixes)):
        (tmp_path / name).mkdir()
        backend.write(tmp_path / name, frozenset(floating))
        shares.append(backend.integer_share(tmp_path / name, values))
    assert [share.floating for share in shares] == [(), (), ()]
    frames = backend._bundle.manifest.frames
    count = SAMPLES
    for kernel, stride in zip(frames.kernels, frames.strides, strict=True):
        count = (count - kernel) // stride + 1
    one = count * count * 32
    assert shares[0].integer_macs - shares[1].integer_macs == one
    assert shares[0].integer_macs - shares[2].integer_macs == one * len(mixes)


def test_long_audio_is_made_of_what_there_is() -> None:
    pieces = [noise(1000, 0), noise(300, 1)]
    found = openvino_long.long_audio(lambda: iter(pieces), hop=2)
    assert [values.shape for values in found] == [(1, 2 * openvino_long.FRAMES)] * openvino_long.UTTERANCES
    np.testing.assert_array_equal(found[0][:, :1300], np.concatenate(pieces, axis=1))
    np.testing.assert_array_equal(found[0][:, 1300:2300], pieces[0])
