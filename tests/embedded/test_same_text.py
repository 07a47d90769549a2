"""Trained checkpoints write the same text in every engine, with free and with fixed shapes.

GPUs and NPUs have tests of their own, tests/devices.
"""

from pathlib import Path

import edgespeech_runtime
import pytest
from edgespeech_export import ExportOptions, StaticShapes, export
from places import SAMPLES, embedded
from tracing import tracing_once

STATIC = StaticShapes((8.0,))  # seconds; no sample is longer
FORMS = {
    "onnx": ExportOptions(engine="onnx"),
    "openvino": ExportOptions(engine="openvino"),
    "numpy": ExportOptions(engine="numpy"),
    "openvino static": ExportOptions(engine="openvino", static=STATIC),
}


@pytest.mark.parametrize("name", ["ctc-en", pytest.param("dictation-en", marks=pytest.mark.slow)])
def test_every_engine_writes_the_same_text(name: str, traces: Path, tmp_path: Path) -> None:
    checkpoint, samples = embedded(name), SAMPLES.parent
    files = sorted([*samples.glob("*.wav"), *samples.glob("*.flac")])
    texts = {}
    for form, options in FORMS.items():
        bundle = tmp_path / form
        with tracing_once(traces, name):
            export(checkpoint, bundle, options)
        with edgespeech_runtime.load(bundle) as model:
            texts[form] = [transcript.text for transcript in model.transcribe(files)]
    assert sum(map(bool, texts["onnx"])) >= len(files) - 1  # one may be silent
    assert texts == dict.fromkeys(FORMS, texts["onnx"])
