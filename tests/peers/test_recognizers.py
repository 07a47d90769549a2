"""sherpa-onnx and onnx-asr, as they are released, on float and INT8 bundles of the English model that comes along."""

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
from other_runtimes import sherpa_texts, squeezed
from places import ROOT, SAMPLES

pytestmark = pytest.mark.devices
BUNDLES = {"ctc-en": None, "ctc-en-int8": "int8"}


@pytest.fixture(params=BUNDLES)
def bundle(request: pytest.FixtureRequest) -> Path:
    """Float and INT8, as the Makefile exports them."""
    folder = ROOT / "build" / "web" / str(request.param)
    return folder if folder.is_dir() else pytest.fail(f"there is no {folder}: make test-peers exports it")


@pytest.fixture(scope="module")
def recordings() -> dict[Path, np.ndarray]:
    """Those that come along."""
    return {file: soundfile.read(file, dtype="float32")[0] for file in sorted(SAMPLES.parent.glob("*.flac"))[:5]}


def expected(bundle: Path, waveforms: list[np.ndarray]) -> list[str]:
    """What the runtime writes."""
    with edgespeech_runtime.load(bundle) as model:
        return [squeezed(model.transcribe(waveform).text) for waveform in waveforms]


def adapter() -> Any:
    """The module that docs/other_runtimes.md offers."""
    spec = importlib.util.spec_from_file_location("wav2vec2_ctc", ROOT / "examples" / "onnx_asr" / "wav2vec2_ctc.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def require_alike(texts: list[str], others: list[str], is_int8: bool) -> None:
    """The same; of INT8 but for a letter here and there, since the graph normalises in float32."""
    assert len(texts) == len(others) > 0
    if not is_int8:
        assert texts == others
        return
    theirs, ours = (" ".join(each).split() for each in (texts, others))
    assert sum(a != b for a, b in zip(theirs, ours, strict=False)) <= 0.15 * len(ours)


def test_sherpa_onnx(bundle: Path, recordings: dict[Path, np.ndarray]) -> None:
    print(f"sherpa-onnx {metadata.version('sherpa-onnx')}, {bundle.name}")
    waveforms = list(recordings.values())
    file = "model.int8.onnx" if BUNDLES[bundle.name] else "model.onnx"
    require_alike(sherpa_texts(bundle, waveforms, file), expected(bundle, waveforms), BUNDLES[bundle.name] is not None)


def test_onnx_asr_by_the_adapter(bundle: Path, recordings: dict[Path, np.ndarray], tmp_path: Path) -> None:
    print(f"onnx-asr {metadata.version('onnx-asr')}, {bundle.name}")
    waveforms = list(recordings.values())
    model = adapter().load_bundle(bundle, BUNDLES[bundle.name])
    alone = [model.recognize(waveform) for waveform in waveforms]
    require_alike(alone, expected(bundle, waveforms), BUNDLES[bundle.name] is not None)
    require_alike(model.recognize(waveforms), alone, BUNDLES[bundle.name] is not None)  # as one padded batch
    soundfile.write(tmp_path / "recording.wav", waveforms[0], 16000, subtype="PCM_16")
    result = model.with_timestamps().recognize(str(tmp_path / "recording.wav"))
    assert result.text == alone[0]
    with edgespeech_runtime.load(bundle) as runtime:
        first = runtime.transcribe(waveforms[0]).words[0]
    assert (
        abs(next(t for t, token in zip(result.timestamps, result.tokens, strict=True) if token.strip()) - first.start)
        < 0.05
    )
