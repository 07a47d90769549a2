"""Graphs for windows of recordings in INT8: what they say of a whole is what the graph for one utterance says."""

from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_calib.quantization.numpy.encoder import NumpyEncoder
from edgespeech_calib.quantization.onnx.encoder import OnnxEncoder
from edgespeech_calib.quantization.openvino.encoder import OpenvinoEncoder
from edgespeech_calib.quantization.options import QuantizationOptions
from edgespeech_calib.quantization.targets import types
from edgespeech_export.bundle import BundleWriter
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.folder import open_bundle
from exported_models import sounds

BACKENDS: dict[str, Any] = {"onnx": OnnxEncoder, "openvino": OpenvinoEncoder, "numpy": NumpyEncoder}


@pytest.mark.parametrize("engine", BACKENDS)
def test_windows_are_quantized_like_utterances(float_bundle: Any, tmp_path: Path, engine: str) -> None:
    source = open_bundle(float_bundle("wav2vec2-group", engine))
    backend = BACKENDS[engine](source, QuantizationOptions(), types("x86-vnni", engine))  # type: ignore[arg-type]
    calibration = [normalize(samples)[None] for samples in sounds(24000, 16000)]
    backend.calibrate(lambda: iter(calibration), lambda step: None)
    BundleWriter(tmp_path).derive(source, backend.write(tmp_path, frozenset()))
    (whole,) = sounds(32000)
    part = np.asarray(0.05 * whole, np.float32)  # quiet among what is loud
    with edgespeech_runtime.load(tmp_path, self_check="never", threads=1) as quantized:
        assert "window" in quantized.manifest.graphs
        gatherer = quantized.runner.gatherer()
        gatherer.add(whole)
        statistics = gatherer.statistics()
        expected = quantized.logits(whole)
        found, again = quantized.runner.run_windows([whole, whole], statistics, batch_size=2)
        with edgespeech_runtime.load(source.folder, threads=1) as exact:
            cost = np.abs(exact.logits(whole) - expected).max()
        (by_whole,) = quantized.runner.run_windows([part], statistics)
        by_itself = quantized.logits(part)
    assert max(np.abs(found - expected).max(), np.abs(again - expected).max()) <= 0.1 * cost  # of what INT8 costs
    assert np.abs(by_whole - by_itself).max() > cost
