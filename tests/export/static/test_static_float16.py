"""Graphs of fixed shapes over weights in float16, in each engine, beside the checkpoint."""

from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
from checkpoints import make_checkpoint
from edgespeech_export import ExportOptions, StaticShapes, export
from edgespeech_runtime.audio.waveform import normalize
from exported_models import sounds
from torch.nn.utils import parametrize

from edgespeech import AutoModelForCTC


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options: dict[str, Any] = {"conv_dim": [16, 16], "conv_kernel": [10, 8], "conv_stride": [8, 8]}
    folder = tmp_path_factory.mktemp("float16") / "checkpoint"
    return make_checkpoint(folder, weights="edgespeech", num_hidden_layers=1, **options)


@pytest.mark.parametrize("engine", ["onnx", "openvino", "numpy"])
@torch.no_grad()
def test_weights_in_float16(checkpoint: Path, engine: Any, tmp_path: Path) -> None:
    options = ExportOptions(engine=engine, precision="float16", static=StaticShapes((2.0,)))
    manifest = export(checkpoint, tmp_path / "bundle", options)
    assert manifest.precision == "float16"
    model = AutoModelForCTC.from_pretrained(checkpoint)
    parametrize.remove_parametrizations(model.wav2vec2.encoder.pos_conv_embed.conv, "weight")
    for weight in model.state_dict().values():  # vectors stay float32, and what takes less than a kilobyte
        if weight.ndim > 1 and weight.numel() >= 256:
            weight.copy_(weight.half().float())
    with edgespeech_runtime.load(tmp_path / "bundle") as runtime:
        for waveform in sounds(5000, 32000):
            expected = model.logits(torch.from_numpy(normalize(waveform))[None])[0].numpy()
            np.testing.assert_allclose(runtime.logits(waveform), expected, atol=1e-5, rtol=0)
