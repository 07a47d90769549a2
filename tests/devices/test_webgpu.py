"""The embedded checkpoints on WebGPU, over a Vulkan driver in software: a GPU's code without a GPU.

`make test-devices` sets up the environment, which has onnxruntime-webgpu in place of onnxruntime.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import load

import edgespeech

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-webgpu" / "bin" / "python"
DRIVER = Path(os.environ.get("VK_ICD_FILENAMES") or ROOT / "build" / "vulkan" / "vk_swiftshader_icd.json")
CHECKPOINTS = Path(edgespeech.__file__).parent / "checkpoints"
TOLERANCE = 1e-3  # on logits
PATIENCE = 900  # seconds; every kernel is compiled for a GPU that the processor plays

pytestmark = [
    pytest.mark.devices,
    pytest.mark.skipif(not PYTHON.exists(), reason="needs the environment that make test-devices sets up"),
    pytest.mark.skipif(not DRIVER.exists(), reason=f"needs a Vulkan driver, VK_ICD_FILENAMES or {DRIVER}"),
]


def on_gpu(bundle: Path, files: list[Path]) -> dict:
    """What the GPU hears; see `on_device`."""
    libraries = os.pathsep.join(filter(None, [str(DRIVER.parent), os.environ.get("LD_LIBRARY_PATH")]))
    environment = {**os.environ, "VK_ICD_FILENAMES": str(DRIVER), "LD_LIBRARY_PATH": libraries}
    command = [PYTHON, Path(__file__).with_name("on_device.py"), bundle, "gpu", *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("checkpoint", "samples", "main"),
    [("ctc-en-small", "samples", ["single"]), ("digits-en-de", "samples-en-de", ["encoder", "decoder"])],
)
def test_the_same_text_and_logits_as_on_the_cpu(tmp_path, checkpoint, samples, main):
    bundle = tmp_path / checkpoint
    export(CHECKPOINTS / checkpoint, bundle, ExportOptions(engine="onnx"))
    files = sorted((CHECKPOINTS / samples).glob("*.wav"), key=lambda file: file.stat().st_size)[:2]
    with load(bundle) as model:
        expected = [model.transcribe(file).text for file in files]
    found = on_gpu(bundle, files)
    assert found["device"] == "onnx:WebGpuExecutionProvider"
    assert found["texts"] == expected
    assert found["difference"] <= TOLERANCE
    for name in main:
        nodes = {provider: count for provider, count, _ in found["placement"][name]}
        assert nodes["WebGpuExecutionProvider"] > 0.8 * sum(nodes.values()), nodes
