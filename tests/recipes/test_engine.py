"""The recipe of docs/architecture.md for an engine: its name, a row in each of two tables, its modules."""

import json
from pathlib import Path

import edgespeech_runtime
import numpy as np
import soundfile
from checkpoints import make_checkpoint
from edgespeech_export import ExportOptions, export

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
from edgespeech.cli.app import program
for command in json.loads(sys.argv[1]):
    program(command, standalone_mode=False)
    print({SEPARATOR!r}, flush=True)
"""


def test_an_engine_by_the_recipe_exports_proves_lists_and_transcribes(packages, tmp_path: Path) -> None:
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

    checkpoint = make_checkpoint(tmp_path / "tiny", "wav2vec2", head="ForCTC")
    audio = tmp_path / "audio.wav"
    soundfile.write(audio, 0.1 * np.random.default_rng(0).standard_normal(8000), 16000, subtype="FLOAT")
    export(checkpoint, tmp_path / "numpy", ExportOptions(engine="numpy"))
    with edgespeech_runtime.load(tmp_path / "numpy") as model:
        expected = model.transcribe(audio).text

    toy = tmp_path / "toy"
    commands = [
        ["export", checkpoint, toy, "--engine", "toy", "--quiet"],
        ["transcribe", toy, audio, "--quiet"],
        ["inspect", toy],
        ["devices"],
    ]
    printed = packages.run("-c", PROGRAM, json.dumps([[str(word) for word in command] for command in commands]))
    _, text, facts, devices = printed.split(SEPARATOR)[:4]
    assert expected
    assert text.strip().endswith(expected)
    assert "Toy" in facts
    assert "toy:CPU" in devices
