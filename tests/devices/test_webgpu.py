"""A CTC model and an encoder-decoder's cache on WebGPU, over a Vulkan driver in software: a GPU's code without a GPU.

`make test-devices` sets up the environment, which has onnxruntime-webgpu in place of onnxruntime.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import load
from encoder_decoders import make_encoder_decoder
from places import SAMPLES, embedded

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-webgpu" / "bin" / "python"
DRIVER = Path(os.environ.get("VK_ICD_FILENAMES") or ROOT / "build" / "vulkan" / "vk_swiftshader_icd.json")
SHORT = SAMPLES.parent / "wake-word.flac"  # here a second of speech takes one
BEAMS = 3  # see `on_device`
TOLERANCE = 1e-3  # on logits
PATIENCE = 900  # seconds: where other work runs beside it, the driver's threads take twenty times as long

pytestmark = [
    pytest.mark.devices,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs the environment that make test-devices sets up"),
    pytest.mark.skipif(not DRIVER.exists(), reason=f"needs a Vulkan driver, VK_ICD_FILENAMES or {DRIVER}"),
]


def on_gpu(bundle: Path, file: Path) -> dict:
    """What the GPU hears; see `on_device`."""
    libraries = os.pathsep.join(filter(None, [str(DRIVER.parent), os.environ.get("LD_LIBRARY_PATH")]))
    environment = {**os.environ, "VK_ICD_FILENAMES": str(DRIVER), "LD_LIBRARY_PATH": libraries}
    command = [PYTHON, Path(__file__).with_name("on_device.py"), bundle, "gpu", file]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["device"] == "onnx:WebGpuExecutionProvider"
    return found


def exported(checkpoint: Path, folder: Path) -> Path:
    """The bundle of a checkpoint."""
    export(checkpoint, folder / "bundle", ExportOptions(engine="onnx"))
    return folder / "bundle"


def share(found: dict, graph: str) -> float:
    """Of the nodes of a graph, those that the GPU ran."""
    nodes = {provider: count for provider, count, _ in found["placement"][graph]}
    return nodes.get("WebGpuExecutionProvider", 0) / sum(nodes.values())


def test_the_ctc_checkpoint_gives_the_same_text_and_logits_as_on_the_cpu(tmp_path):
    bundle, file = exported(embedded("ctc-en"), tmp_path), SHORT
    with load(bundle) as model:
        expected = model.transcribe(file).text
    found = on_gpu(bundle, file)
    assert found["texts"] == [expected] != [""]
    assert found["difference"] <= TOLERANCE
    assert share(found, "single") > 0.8


def test_a_text_decoder_gives_the_same_tokens_with_its_cache_on_the_gpu(tmp_path):
    checkpoint = make_encoder_decoder(tmp_path / "tiny", "gpt2", weights="edgespeech")
    bundle, file = exported(checkpoint, tmp_path), SHORT
    with load(bundle) as model:
        expected, beams = model.transcribe(file).text, model.generate(file, num_beams=BEAMS)
    found = on_gpu(bundle, file)
    assert (found["texts"], found["beams"]) == ([expected], beams)
    assert expected
    assert found["difference"] <= TOLERANCE
    assert min(share(found, graph) for graph in ("encoder", "decoder")) > 0.8
    assert share(found, "cache") == 1  # it is not even loaded where keys and values lie in the host's memory
