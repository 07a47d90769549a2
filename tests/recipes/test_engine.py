"""The recipe of docs/architecture.md for an engine: its name, a row in each of two tables, its modules."""

import json
from pathlib import Path

import edgespeech_runtime
import numpy as np
import soundfile

LOADER = '''
"""Toy: numpy's engine under another name, which counts its runs."""

from . import Device
from .numpy import Engine as NumpyEngine


def offered() -> list[Device]:
    """One processor."""
    return [Device("toy:CPU", "cpu", "toy", "toy 1")]


class Engine(NumpyEngine):
    """See the protocol."""

    def __init__(self, threads=None, device=None, precision="exact", streams=1):
        super().__init__(threads, device or offered()[0], precision, streams)
'''

WRITER = '''
"""Toy's graphs are numpy's programs."""

from edgespeech_export.writers.numpy import write

__all__ = ["write"]
'''

SEPARATOR = "-----"
PROGRAM = f"""
import json, sys
from pathlib import Path
from edgespeech.cli.app import program
from tracing import tracing_once
with tracing_once(Path(sys.argv[2])):
    for command in json.loads(sys.argv[1]):
        program(command, standalone_mode=False)
        print({SEPARATOR!r}, flush=True)
"""


def test_an_engine_by_the_recipe_exports_proves_lists_and_transcribes(
    packages, exported_kinds, traces: Path, tmp_path: Path
) -> None:
    packages.insert("edgespeech_runtime/choices.py", '"onnx", "openvino", "numpy"]', '"toy", ')
    packages.insert(
        "edgespeech_runtime/choices.py",
        '    "numpy": EngineFacts(',
        '    "toy": EngineFacts("Toy", "numpy", "toy"),\n',
    )
    packages.add("edgespeech_runtime/engines/toy.py", LOADER)
    packages.insert(
        "edgespeech/engines.py",
        '    "numpy": EngineRow(',
        '    "toy": EngineRow(RUNTIME["toy"], writer=f"{WRITERS}.toy:write"),\n',
    )
    packages.add("edgespeech_export/writers/toy.py", WRITER)

    case = exported_kinds.case("wav2vec2-group", "numpy")
    audio = tmp_path / "audio.wav"
    soundfile.write(audio, 0.1 * np.random.default_rng(0).standard_normal(8000), 16000, subtype="FLOAT")
    with edgespeech_runtime.load(case.bundle) as model:
        expected = model.transcribe(audio).text

    toy = tmp_path / "toy"
    commands = [
        ["export", case.checkpoint, toy, "--engine", "toy", "--quiet"],
        ["transcribe", toy, audio, "--quiet"],
        ["inspect", toy],
        ["devices"],
    ]
    printed = packages.run("-c", PROGRAM, json.dumps(commands, default=str), traces)
    _, text, facts, devices = printed.split(SEPARATOR)[:4]
    assert expected
    assert text.strip().endswith(expected)
    assert "Toy" in facts
    assert "toy:CPU" in devices
