"""INT8 of checkpoints with the outliers of trained ones: sound, with most of the work in integers."""

from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
from edgespeech_calib import open_set
from edgespeech_calib.quantization import quantize, timing
from edgespeech_calib.quantization.judge import agreement
from edgespeech_export import ExportOptions, export
from fragile import snr
from trained_twins import make_twin

RATE = 16000
SOUND = {"constant": 20.0, "feed-forward": agreement.FLOOR, "massive": agreement.FLOOR}  # dB of logits over their noise
INTEGERS = 0.75  # of the multiply-accumulates, by the engine's profile


def audio(seed: int) -> np.ndarray:
    """Noise, two seconds long: random weights know no speech. float32 [samples]."""
    return (0.1 * np.random.default_rng(seed).standard_normal(2 * RATE)).astype(np.float32)


def logits(bundle: Path) -> np.ndarray:
    with edgespeech_runtime.load(bundle) as model:
        return np.concatenate([model.logits(audio(seed)) for seed in range(100, 104)])


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        ("constant", "openvino"),
        ("feed-forward", "onnx"),
        pytest.param("constant", "onnx", marks=pytest.mark.slow),
        pytest.param("feed-forward", "openvino", marks=pytest.mark.slow),
        pytest.param("massive", "onnx", marks=pytest.mark.slow),
        pytest.param("massive", "openvino", marks=pytest.mark.slow),
    ],
)
def test_a_model_with_outliers_is_sound_in_integers(
    kind: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "RUNS", 1)
    (tmp_path / "noise").mkdir()
    for seed in range(6):
        soundfile.write(tmp_path / "noise" / f"{seed}.wav", audio(seed), RATE, subtype="FLOAT")
    make_twin(tmp_path / "twin", kind, weights="edgespeech")
    export(tmp_path / "twin", tmp_path / "float", ExportOptions(engine=engine))
    found = quantize(tmp_path / "float", tmp_path / "int8", open_set(tmp_path / "noise"))
    assert found.judgement.passed
    assert found.manifest.report["quantization"]["integer_share"] > INTEGERS
    assert snr(logits(tmp_path / "int8"), logits(tmp_path / "float")) > SOUND[kind]
