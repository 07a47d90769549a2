"""Trained checkpoints on Qualcomm's HTP, which the x86 library of onnxruntime-qnn emulates: an NPU without an NPU.

`make test-devices` sets up the environment. The emulator takes seconds for a second of speech.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import pytest
from edgespeech_calib import open_set
from edgespeech_calib.quantization.npu.bundle import NpuOptions, export_npu
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import load
from edgespeech_runtime.bundle.cache import VARIABLE
from edgespeech_runtime.bundle.folder import open_bundle
from encoder_decoders import make_encoder_decoder
from places import SENTENCES, embedded
from spoken_digits import embedded_digits, held_out_digits

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-qnn" / "bin" / "python"
UTTERANCES, MANY = 10, 110
SECONDS = 2.5  # of the bucket; no utterance is longer
SAMPLES = 28  # calibration utterances
WORSE = 0.005  # of all words that the NPU may cost
MOST = 0.3  # of words that are wrong in float
PATIENCE = 3600  # seconds
NPU = "onnx:QNNExecutionProvider"

pytestmark = [
    pytest.mark.devices,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs the environment that make test-devices sets up"),
]


@dataclass(frozen=True)
class Made:
    """A checkpoint's bundles for the NPU and in float."""

    npu: Path
    floating: Path


def make(folder: Path) -> Made:
    """Both bundles of the CTC model; calibrated on other speech, and other words, than are transcribed below."""
    made = Made(folder / "npu", folder / "float")
    options = NpuOptions(buckets=(SECONDS,), samples=SAMPLES)
    export_npu(embedded("ctc-en"), made.npu, open_set(str(SENTENCES)), options)
    export(embedded("ctc-en"), made.floating, ExportOptions())
    return made


def run_on_device(bundle: Path, files: Sequence[Path] = (), cache: Path | None = None) -> subprocess.Popen[str]:
    """Start `on_device` on the NPU, with a cache of its own."""
    command = [str(each) for each in (PYTHON, Path(__file__).with_name("on_device.py"), bundle, "npu", *files)]
    environment = {**os.environ, VARIABLE: str(cache or bundle.parent / "cache")}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(running: subprocess.Popen[str]) -> dict:
    """What `on_device` found."""
    said, complaint = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, complaint
    found = json.loads(said.splitlines()[-1])
    assert found["device"] == NPU
    return found


def require_all_nodes_there(bundle: Path, found: dict) -> None:
    """One compiled node of the NPU's provider is the whole graph; whatever ran elsewhere would be one more."""
    assert found["placement"].keys() == open_bundle(bundle).manifest.graphs.keys()
    for name, shares in found["placement"].items():
        nodes = {provider: count for provider, count, _ in shares}
        assert nodes == {"QNNExecutionProvider": 1}, (name, nodes)


def require_words(made: Made, files: list[Path], words: list[list[str]], found: dict, worse: float) -> None:
    """Of all words the NPU gets at most the share `worse` more wrong than float."""
    texts = [" ".join(each) for each in words]
    with load(made.floating) as model:
        in_float = jiwer.wer(texts, [model.transcribe(file).text for file in files])
    on_npu = jiwer.wer(texts, found["texts"])
    print(f"{on_npu:.2%} of words wrong on the NPU, {in_float:.2%} in float")
    assert in_float <= MOST
    assert on_npu <= in_float + worse + 1e-9


def test_ten_utterances_are_transcribed_as_in_float_with_every_node_on_the_npu(tmp_path):
    files, words, _ = embedded_digits(tmp_path, UTTERANCES)
    made = make(tmp_path)
    assert open_bundle(made.npu).manifest.report["quantization"]["float_nodes"] == {}
    found = answer(run_on_device(made.npu, files))
    require_words(made, files, words, found, worse=1 / sum(map(len, words)))  # so few cannot tell less than a word
    require_all_nodes_there(made.npu, found)


def test_a_text_decoder_runs_there_with_every_node(tmp_path):
    tiny, bundle = make_encoder_decoder(tmp_path / "tiny", "gpt2", weights="edgespeech"), tmp_path / "npu"
    export_npu(tiny, bundle, open_set(str(SENTENCES)), NpuOptions(buckets=(SECONDS,), samples=4))
    files, _, _ = embedded_digits(tmp_path, 1)
    require_all_nodes_there(bundle, answer(run_on_device(bundle, files)))


@pytest.mark.slow  # the emulator takes half an hour
def test_no_more_word_errors_on_recordings_held_out_of_training(tmp_path):
    files, words = held_out_digits(tmp_path, MANY, SECONDS)
    made = make(tmp_path)
    require_words(made, files, words, answer(run_on_device(made.npu, files)), WORSE)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A bundle of the CTC model that is quick to compile."""
    bundle = tmp_path_factory.mktemp("small") / "bundle"
    export_npu(embedded("ctc-en"), bundle, open_set(str(SENTENCES)), NpuOptions(buckets=(2.0,), samples=4))
    return bundle


def test_what_was_compiled_is_kept_and_made_again_where_it_is_damaged(small, tmp_path):
    graphs = ["single_32000.onnx"]
    assert answer(run_on_device(small, cache=tmp_path))["compiled"] == graphs
    assert answer(run_on_device(small, cache=tmp_path))["compiled"] == []
    (blob,) = (tmp_path / "compiled").iterdir()
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1  # Qualcomm's library does not notice
    blob.write_bytes(content)
    assert answer(run_on_device(small, cache=tmp_path))["compiled"] == graphs
    assert answer(run_on_device(small, cache=tmp_path))["compiled"] == []


def test_two_processes_compile_at_once(small, tmp_path):
    for found in map(answer, [run_on_device(small, cache=tmp_path) for _ in range(2)]):
        assert found["compiled"] in ([], ["single_32000.onnx"])
    assert len(list((tmp_path / "compiled").iterdir())) == 1
    assert answer(run_on_device(small, cache=tmp_path))["compiled"] == []


def with_qualcomms_compiler(folder: Path) -> dict[str, str]:
    """An environment for the toolchain in which the NPU environment's onnxruntime and onnxruntime-qnn come first.

    They are links to that environment's own, so that both sides have one version, whichever it is.
    """
    folder.mkdir()
    for part in (PYTHON.parents[1]).glob("lib/python3.*/site-packages/onnxruntime*"):
        (folder / part.name).symlink_to(part)
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_what_was_compiled_beforehand_is_taken_by_the_same_version_alone(tmp_path):
    bundle, calibration = tmp_path / "bundle", ("--calib", SENTENCES, "--samples", 4, "--buckets", SECONDS)
    command = ["export", embedded("ctc-en"), bundle, "--target", "npu", "--precision", "int8", *calibration]
    subprocess.run(
        [sys.executable, "-m", "edgespeech.cli", *map(str, command), "--compile", "--quiet"],
        env=with_qualcomms_compiler(tmp_path / "packages"),
        check=True,
        timeout=PATIENCE,
    )
    (name,) = open_bundle(bundle).manifest.graphs
    (compiled,) = open_bundle(bundle).manifest.graphs[name].compiled
    assert open_bundle(bundle).manifest.report["compiled"]["nodes_elsewhere"] == {}
    files, _, _ = embedded_digits(tmp_path, 1)
    found = answer(run_on_device(bundle, files, tmp_path / "cache"))  # it passes its self-check there
    assert (found["library"], found["compiled"]) == (compiled.library, [])
    require_all_nodes_there(bundle, found)
    manifest = bundle / "edgespeech.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(compiled.library, "another"), encoding="utf-8")
    assert answer(run_on_device(bundle, cache=tmp_path / "cache"))["compiled"] == [f"{name}.onnx"]
