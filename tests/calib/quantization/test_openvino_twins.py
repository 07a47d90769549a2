"""INT8 in OpenVINO of checkpoints with the outliers of trained ones: every layer in integers, and sound."""

from pathlib import Path

import numpy as np
import pytest
from edgespeech_calib.quantization.openvino_encoder import OpenvinoEncoder
from edgespeech_calib.quantization.openvino_network import SETTINGS, read
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.bundle import open_bundle
from edgespeech_runtime.engines.openvino import openvino
from trained_twins import OUTLIERS, make_twin

TYPES = Types("uint8", "int8", False, "")
SAMPLES = 16000
SOUND = 20.0  # dB of logits over their noise


def noise(seed: int) -> np.ndarray:
    """Normalised noise, (1, samples)."""
    values = np.random.default_rng(seed).standard_normal((1, SAMPLES))
    return ((values - values.mean()) / values.std()).astype(np.float32)


@pytest.mark.parametrize("kind", OUTLIERS)
def test_a_model_with_outliers_is_sound_in_integers(kind: str, tmp_path: Path) -> None:
    export(make_twin(tmp_path / "twin", kind), tmp_path / "float", ExportOptions(engine="openvino"))
    bundle = open_bundle(tmp_path / "float")
    backend = OpenvinoEncoder(bundle, QuantizationOptions(), TYPES)
    backend.calibrate(lambda: map(noise, range(8)), lambda text: None)
    (tmp_path / "int8").mkdir()
    graph = backend.write(tmp_path / "int8", frozenset())["single"]
    folders = (bundle.folder, bundle.manifest.graphs["single"]), (tmp_path / "int8", graph)
    models = [
        openvino.Core().compile_model(read(folder / entry.file, folder / str(entry.weights)), "CPU", SETTINGS)
        for folder, entry in folders
    ]
    expected, found = (np.concatenate([model([noise(seed)])[0] for seed in range(100, 104)]) for model in models)
    expected, found = (logits - logits.mean(-1, keepdims=True) for logits in (expected, found))
    assert 10 * np.log10(np.square(expected).sum() / np.square(found - expected).sum()) > SOUND
    assert backend.integer_share(tmp_path / "int8", noise(100)).floating == ()
