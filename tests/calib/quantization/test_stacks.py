"""INT8 of any legal shape of the convolutions before the transformer, in each engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import make_checkpoint
from covering import covering
from edgespeech_calib.quantization import backends
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import load
from edgespeech_runtime.bundle.folder import open_bundle
from kinds import ENGINES, LAYER_NORM

TYPES = Types("uint8", "int8", False, "")
LENGTHS = (6400, 8000, 9100)  # samples, each another number of frames
SAFE = 15.0  # dB of a layer alone; a wrong scale or range gives less than 10

STACKS: dict[str, dict[str, Any]] = {
    "one convolution": {"conv_dim": [16], "conv_kernel": [40], "conv_stride": [32]},
    "kernels of one": {
        **LAYER_NORM,
        "conv_dim": [16, 20, 12, 24],
        "conv_kernel": [40, 1, 1, 3],
        "conv_stride": [16, 1, 1, 2],
        "num_conv_pos_embedding_groups": 32,  # a convolution of single channels
    },
    "kernels shorter than strides": {"conv_dim": [16, 20, 12], "conv_kernel": [10, 2, 1], "conv_stride": [12, 4, 3]},
    "long kernels": {
        **LAYER_NORM,
        "conv_bias": False,
        "conv_dim": [16, 20],
        "conv_kernel": [10, 7],
        "conv_stride": [40, 2],
        "num_conv_pos_embedding_groups": 1,
        "add_adapter": True,
        "num_adapter_layers": 1,
        "adapter_kernel_size": 1,
        "adapter_stride": 1,
    },
}
# Each is an export of its own, so the usual run takes each stack in one engine, and each engine at least once.
USUAL = {
    ("one convolution", "numpy"),
    ("kernels of one", "openvino"),
    ("kernels shorter than strides", "onnx"),
    ("long kernels", "openvino"),
}


def noise(seed: int = 0) -> list[np.ndarray]:
    """Normalised noise, (1, samples) each."""
    generator = np.random.default_rng(seed)
    values = [generator.standard_normal(length) for length in LENGTHS]
    return [((x - x.mean()) / x.std()).astype(np.float32)[None] for x in values]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Path]:
    """Export a stack for an engine; it is traced once for all of them."""
    folder = tmp_path_factory.mktemp("stacks")

    def make(stack: str, engine: Any) -> Path:
        checkpoint, place = folder / stack, folder / f"{stack} {engine}"
        if not checkpoint.exists():
            make_checkpoint(checkpoint, "wav2vec2", **STACKS[stack])
        if not place.exists():
            export(checkpoint, place, ExportOptions(engine=engine))
        return place

    return make


@pytest.mark.parametrize(("stack", "engine"), covering(USUAL, STACKS, ENGINES))
def test_it_is_quantized(stack: str, engine: str, bundle: Any, tmp_path: Path) -> None:
    floating = open_bundle(bundle(stack, engine))
    backend = backends.open_encoder(floating, QuantizationOptions(), TYPES)
    backend.calibrate(lambda: iter(noise()), lambda text: None)
    ratios = backend.noise(lambda: iter(noise(1)[:1]))
    assert ratios.keys() == {layer.name for layer in backend.layers}
    assert min(ratios.values()) > SAFE, min(ratios, key=ratios.__getitem__)
    graphs = backend.write(tmp_path, frozenset())
    assert graphs.keys() == {name for name in floating.manifest.graphs if name in graphs}
    share = backend.integer_share(tmp_path, noise()[0])
    assert share.floating == ()
    assert share.share > 0.25


def test_positions_of_single_channels_stay_in_float(bundle: Any) -> None:
    """They are a hundredth of the work, and their input may have a large constant."""
    floating = open_bundle(bundle("kernels of one", "openvino"))
    backend = backends.open_encoder(floating, QuantizationOptions(), TYPES)
    assert "wav2vec2.encoder.pos_conv_embed.conv" not in {layer.name for layer in backend.layers}
    with load(floating.folder) as model:
        assert np.isfinite(model.logits(noise()[0][0])).all()
