"""The embedded checkpoints on Qualcomm's HTP, which the x86 library of onnxruntime-qnn emulates: an NPU without an NPU.

`make test-devices` sets up the environment. The emulator takes seconds for a second of speech.
"""

import json
import subprocess
import wave
from pathlib import Path

import jiwer
import numpy as np
import pytest
from edgespeech_calib import open_set
from edgespeech_calib.quantization.npu import NpuOptions, export_npu
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import load

import edgespeech

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-qnn" / "bin" / "python"
CHECKPOINTS = Path(edgespeech.__file__).parent / "checkpoints"
CALIBRATION = CHECKPOINTS / "calibration"
UTTERANCES = 10
RATE = 16000  # Hz
ENGLISH = {
    "null": "ZERO",
    "eins": "ONE",
    "zwei": "TWO",
    "drei": "THREE",
    "vier": "FOUR",
    "fünf": "FIVE",
    "sechs": "SIX",
    "sieben": "SEVEN",
    "acht": "EIGHT",
    "neun": "NINE",
}
SECONDS = 2.5  # of a bucket
WORSE = 0.5  # percentage points of word errors that the NPU may cost
PATIENCE = 1800  # seconds

pytestmark = [
    pytest.mark.devices,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs the environment that make test-devices sets up"),
]


def on_npu(bundle: Path, *files: Path) -> dict:
    """What the NPU hears; see `on_device`."""
    command = [PYTHON, Path(__file__).with_name("on_device.py"), bundle, "npu", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["device"] == "onnx:QNNExecutionProvider"
    return found


def require_all_nodes_there(found: dict, graphs: list[str]) -> None:
    """One compiled node of the NPU's provider is the whole graph; whatever ran elsewhere would be one more."""
    for name in graphs:
        nodes = {provider: count for provider, count, _ in found["placement"][name]}
        assert nodes == {"QNNExecutionProvider": 1}, (name, nodes)


def spoken_digits(folder: Path) -> tuple[list[Path], list[str]]:
    """Embedded recordings of digits that fit into one bucket, as files, and their texts."""
    files, texts = [], []
    for utterance in open_set(str(CALIBRATION / "digits-en-de.tsv")):
        samples = utterance.audio.read(RATE)
        if len(samples) > SECONDS * RATE or len(files) == UTTERANCES:
            continue
        files.append(folder / f"{len(files)}.wav")
        texts.append(" ".join(ENGLISH[word] for word in utterance.text.split()))
        with wave.open(str(files[-1]), "wb") as stream:
            stream.setparams((1, 2, RATE, 0, "NONE", ""))
            stream.writeframes((samples * 32767).round().astype(np.int16).tobytes())
    assert len(files) == UTTERANCES
    return files, texts


def test_the_ctc_checkpoint_makes_no_more_word_errors_on_the_npu(tmp_path):
    bundle, floating = tmp_path / "npu", tmp_path / "float"
    data = open_set(str(CALIBRATION / "sentences-en.tsv"))  # other words than those that are heard below
    export_npu(CHECKPOINTS / "ctc-en-small", bundle, data, NpuOptions(buckets=(SECONDS,)))
    export(CHECKPOINTS / "ctc-en-small", floating, ExportOptions())
    files, texts = spoken_digits(tmp_path)
    with load(floating) as model:
        in_float = jiwer.wer(texts, [model.transcribe(file).text for file in files])
    found = on_npu(bundle, *files)
    assert in_float < 0.2
    assert 100 * jiwer.wer(texts, found["texts"]) <= 100 * in_float + WORSE
    require_all_nodes_there(found, ["single_40000"])


def test_the_translator_writes_on_the_npu_what_it_writes_in_float(tmp_path):
    bundle, floating = tmp_path / "npu", tmp_path / "float"
    data = open_set(str(CALIBRATION / "digits-en-de.tsv"))
    export_npu(CHECKPOINTS / "digits-en-de", bundle, data, NpuOptions(buckets=(SECONDS, 2 * SECONDS), samples=16))
    export(CHECKPOINTS / "digits-en-de", floating, ExportOptions())
    files = sorted((CHECKPOINTS / "samples-en-de").glob("*.wav"), key=lambda file: file.stat().st_size)[:2]
    with load(floating) as model:
        expected = [model.transcribe(file).text for file in files]
    found = on_npu(bundle, *files)
    assert found["texts"] == expected
    require_all_nodes_there(found, ["encoder_40000", "prefill", "step"])
