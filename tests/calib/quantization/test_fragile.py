"""Checkpoints that naive INT8 ruins: the gate sees it, and what passes is as good as float."""

from collections.abc import Callable
from pathlib import Path

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
import torch
from checkpoints import make_model, write_processor
from edgespeech_calib import SpeechSet, open_set
from edgespeech_calib.errors import QualityError
from edgespeech_calib.quantization import QuantizationOptions, quantize
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.folder import open_bundle
from fragile import BREAKS, quantize_naively, snr

SMALL = {"conv_dim": [24, 24, 24], "conv_kernel": [10, 8, 8], "conv_stride": [5, 8, 8], "num_hidden_layers": 1}
RATE = 16000
SOUND, RUINED = 20.0, 10.0  # dB of logits over their noise
BROKEN = "wav2vec2.feature_extractor.conv_layers.2.conv"  # what "convolutions" breaks: nothing can even its input out
# Each is an export of its own, so the usual run of the tests takes one; OpenVINO is in test_int8_of_twins.
USUAL: dict[str, tuple[str, ...]] = {"onnx": ("convolutions",), "openvino": ()}
CASES = {
    engine: [pytest.param(name, engine, marks=() if name in usual else pytest.mark.slow) for name in BREAKS]
    for engine, usual in USUAL.items()
}


def audio(seed: int) -> np.ndarray:
    """Noise, a second long: random weights know no speech. float32 [samples]."""
    return (0.1 * np.random.default_rng(seed).standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> SpeechSet:
    folder = tmp_path_factory.mktemp("noise")
    for seed in range(6):
        soundfile.write(folder / f"{seed}.wav", audio(seed), RATE, subtype="FLOAT")
    return open_set(folder)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`bundle(name, engine)`: a fragile model in float32, or for None a sound one; each exported once."""
    made: dict[tuple[str | None, str], Path] = {}

    def make(name: str | None, engine: str = "onnx") -> Path:
        if (name, engine) not in made:
            folder = tmp_path_factory.mktemp("fragile")
            _, after = models(name)
            after.save_pretrained(folder / "checkpoint")
            write_processor(folder / "checkpoint", after.config.vocab_size, name == "layer-norms")
            export(folder / "checkpoint", folder / "bundle", ExportOptions(engine=engine))
            made[name, engine] = folder / "bundle"
        return made[name, engine]

    return make


def models(name: str | None) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The same model before and after."""
    breaks, options = (lambda model: None, {}) if name is None else BREAKS[name]
    before, after = (make_model(weights="edgespeech", **SMALL, **options) for _ in range(2))
    torch.manual_seed(0)
    breaks(after)
    return before, after


def logits(bundle: Path, seeds: range = range(100, 103)) -> np.ndarray:
    with edgespeech_runtime.load(bundle) as model:
        return np.concatenate([model.logits(audio(seed)) for seed in seeds])


def naive(bundle: Path, folder: Path, seeds: range = range(100, 103)) -> np.ndarray:
    run = quantize_naively(graph(bundle), folder / "naive.onnx", [normalize(audio(seed))[None] for seed in range(6)])
    return np.concatenate([run(normalize(audio(seed))[None])[0] for seed in seeds])


def graph(bundle: Path) -> Path:
    return bundle / open_bundle(bundle).manifest.graphs["single"].file


@pytest.mark.parametrize("name", BREAKS)
@torch.no_grad()
def test_in_float_nothing_changes(name: str) -> None:
    before, after = models(name)
    values = torch.from_numpy(np.stack([normalize(audio(seed)) for seed in range(3)]))
    expected, found = before(values).logits, after(values).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    weights = after.state_dict()
    assert any(not torch.equal(tensor, weights[name]) for name, tensor in before.state_dict().items())


@pytest.mark.parametrize(("name", "engine"), CASES["onnx"])
def test_naive_int8_is_ruined(name: str, engine: str, bundle: Callable[..., Path], tmp_path: Path) -> None:
    float_bundle = bundle(name, engine)
    assert snr(naive(float_bundle, tmp_path), logits(float_bundle)) < RUINED


@pytest.mark.slow
def test_naive_int8_is_sound_on_a_model_without_outliers(bundle: Callable[..., Path], tmp_path: Path) -> None:
    """So that it is the outliers which ruin the others."""
    assert snr(naive(bundle(None), tmp_path), logits(bundle(None))) > SOUND


@pytest.mark.parametrize(("name", "engine"), [*CASES["onnx"], *CASES["openvino"]])
def test_ours_is_as_good_as_float(
    name: str, engine: str, bundle: Callable[..., Path], recordings: SpeechSet, tmp_path: Path
) -> None:
    """Even channels out or leave layers in float: either way the logits come out right, and INT8 it is all the same."""
    found = quantize(bundle(name, engine), tmp_path / "int8", recordings)
    assert found.judgement.passed
    expected = logits(bundle(name, engine))
    assert snr(logits(tmp_path / "int8"), expected) > SOUND
    report = found.manifest.report["quantization"]
    assert report["integer_share"] > 0.3
    for layer in found.layers:
        assert (layer.precision == "float32") is bool(layer.why)


@pytest.mark.parametrize("engine", ["onnx"])  # OpenVINO's ranges, one a channel, bear with this layer
def test_the_broken_layer_alone_goes_back_to_float(
    engine: str, bundle: Callable[..., Path], recordings: SpeechSet, tmp_path: Path
) -> None:
    found = quantize(bundle("convolutions", engine), tmp_path / "int8", recordings)
    (layer,) = (layer for layer in found.layers if layer.why)
    assert layer.name == BROKEN
    assert layer.noise is not None
    assert layer.noise < RUINED
    assert f"{layer.noise:.1f} dB" in layer.why


@pytest.mark.parametrize("engine", ["onnx"])
def test_without_reverting_the_export_fails_with_the_figures(
    engine: str, bundle: Callable[..., Path], recordings: SpeechSet, tmp_path: Path
) -> None:
    with pytest.raises(QualityError) as caught:
        quantize(bundle("convolutions", engine), tmp_path / "int8", recordings, QuantizationOptions(revert=False))
    message = str(caught.value)
    assert "costs more than is allowed" in message
    assert f"the worst layers: {BROKEN} (" in message
    assert " dB" in message
    assert not list(tmp_path.iterdir())
