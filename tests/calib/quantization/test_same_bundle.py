"""The same float bundle, speech and options give the same INT8 bundle in another process, bit for bit."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

QUANTIZE = """
import sys
from edgespeech_calib import open_set
from edgespeech_calib.quantization import QuantizationOptions, quantize

floating, bundle, speech = sys.argv[1:]
quantize(floating, bundle, open_set(speech), QuantizationOptions(samples=2, max_changed_words=100.0))
"""
SECONDS = 240  # that two of them side by side may take


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_two_processes_write_the_same_bytes(
    engine: str, float_bundle: Callable[[str, str], Path], corpus: Path, tmp_path: Path
) -> None:
    floating = float_bundle("wav2vec2-group", engine)
    running = {}
    for seed in ("1", "2"):  # the order of Python's sets must not matter
        command = [sys.executable, "-c", QUANTIZE, floating, tmp_path / seed, corpus]
        running[seed] = subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": seed})
    assert [process.wait(SECONDS) for process in running.values()] == [0, 0]
    first, second = (
        {
            path.relative_to(tmp_path / seed): path.read_bytes()
            for path in (tmp_path / seed).rglob("*")
            if path.is_file()
        }
        for seed in running
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
