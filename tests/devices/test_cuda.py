"""Trained checkpoints on an NVIDIA GPU, where there is one and onnxruntime-gpu stands in place of onnxruntime."""

import pytest
from edgespeech_export import ExportOptions, export
from edgespeech_runtime import EncoderDecoderModel, devices, load
from places import SAMPLES, embedded

DEVICE = "onnx:CUDAExecutionProvider"
TOLERANCE = 1e-3  # on logits

pytestmark = pytest.mark.devices


@pytest.fixture(scope="module", autouse=True)
def _gpu() -> None:
    if all(device.name != DEVICE for device in devices()):
        pytest.skip("needs an NVIDIA GPU and onnxruntime-gpu")


@pytest.mark.parametrize(
    ("checkpoint", "graphs"),
    [("ctc-en", ["single"]), ("dictation-en", ["encoder", "encoder_batch", "decoder", "cache"])],
)
def test_the_same_text_and_logits_as_on_the_cpu(tmp_path, checkpoint, graphs):
    export(embedded(checkpoint), tmp_path / "bundle", ExportOptions(engine="onnx"))
    files = sorted([*SAMPLES.parent.glob("*.wav"), *SAMPLES.parent.glob("*.flac")])
    with load(tmp_path / "bundle") as cpu, load(tmp_path / "bundle", DEVICE, self_check="never") as gpu:
        assert [each.text for each in gpu.transcribe(files)] == [each.text for each in cpu.transcribe(files)]
        if isinstance(gpu, EncoderDecoderModel):
            assert gpu.generate(files, num_beams=4) == cpu.generate(files, num_beams=4)
        assert gpu.self_check() <= TOLERANCE
        placement = gpu.placement()
    for name in graphs:
        nodes = {provider: count for provider, count, _ in placement[name]}
        assert nodes["CUDAExecutionProvider"] > 0.8 * sum(nodes.values()), nodes
