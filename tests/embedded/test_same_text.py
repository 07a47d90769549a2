"""Trained checkpoints write the same text in every engine, with free and with fixed shapes.

GPUs and NPUs have tests of their own, tests/devices.
"""

from pathlib import Path

import edgespeech_runtime
import pytest
from edgespeech_export import ExportOptions, StaticShapes, export
from places import EMBEDDED, FIXTURES, TRANSLATED, TRANSLATOR
from tracing import tracing_once

SAMPLES = {EMBEDDED / "ctc-en-small": FIXTURES / "samples-espeak", TRANSLATOR: TRANSLATED}
STATIC = StaticShapes((5.5,))  # seconds; the longest sample is of 5.0
FORMS = {
    "onnx": ExportOptions(engine="onnx"),
    "openvino": ExportOptions(engine="openvino"),
    "numpy": ExportOptions(engine="numpy"),
    "openvino static": ExportOptions(engine="openvino", static=STATIC),
}


@pytest.mark.parametrize("checkpoint", SAMPLES, ids=lambda folder: folder.name)
def test_every_engine_writes_the_same_text(checkpoint: Path, traces: Path, tmp_path: Path) -> None:
    files = sorted(SAMPLES[checkpoint].glob("*.wav"))
    texts = {}
    for form, options in FORMS.items():
        bundle = tmp_path / form
        with tracing_once(traces, checkpoint.name):
            export(checkpoint, bundle, options)
        with edgespeech_runtime.load(bundle) as model:
            texts[form] = [transcript.text for transcript in model.transcribe(files)]
    assert all(texts["onnx"])
    assert texts == dict.fromkeys(FORMS, texts["onnx"])
