"""Trained checkpoints write the same text in every engine, with free and with fixed shapes.

GPUs and NPUs have tests of their own, tests/devices.
"""

from collections.abc import Callable
from pathlib import Path

import edgespeech_runtime
import pytest
from edgespeech_export import ExportOptions, StaticShapes, export
from places import SAMPLES, embedded

STATIC = StaticShapes((8.0,))  # seconds; no sample is longer
FORMS = ("onnx", "openvino", "numpy", "static")


@pytest.mark.parametrize("name", ["ctc-en", pytest.param("dictation-en", marks=pytest.mark.slow)])
def test_every_engine_writes_the_same_text(name: str, bundle: Callable[[str, str], Path], tmp_path: Path) -> None:
    samples = SAMPLES.parent
    files = sorted([*samples.glob("*.wav"), *samples.glob("*.flac")])
    export(embedded(name), tmp_path / "static", ExportOptions(engine="openvino", static=STATIC))
    texts = {}
    for form in FORMS:
        with edgespeech_runtime.load(tmp_path / form if form == "static" else bundle(name, form)) as model:
            texts[form] = [transcript.text for transcript in model.transcribe(files)]
    assert sum(map(bool, texts["onnx"])) >= len(files) - 1  # one may be silent
    assert texts == dict.fromkeys(FORMS, texts["onnx"])
