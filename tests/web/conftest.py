"""Node and Chromium, as `make test-web` sets them up in build/web, and the bundles that they open."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
from exported_kinds import Kinds
from places import ROOT, SAMPLES, SPEECH

BUILD = ROOT / "build" / "web"
EXAMPLE = ROOT / "examples" / "browser"
RATE = 16000  # Hz
LONGEST = 300  # seconds of one script


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where the packages of Node are, with the scripts of these tests and the example beside them."""
    if not (BUILD / "node_modules").is_dir():
        pytest.fail("these tests want what `make test-web` sets up")
    for script in (*Path(__file__).parent.glob("*.mjs"), *EXAMPLE.glob("*.*")):
        if script.name != "package.json":
            shutil.copy(script, BUILD)
    return BUILD


@pytest.fixture(scope="session")
def node(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """`node("script.mjs", waveforms=[...], ...)`: run a script with a request, return what it answers."""
    scratch = tmp_path_factory.mktemp("node")

    def run(script: str, waveforms: list[np.ndarray] | None = None, **request: Any) -> dict[str, Any]:
        if waveforms is not None:
            request["waveforms"] = stored(waveforms, scratch)
        path = scratch / "request.json"
        path.write_text(json.dumps(request), encoding="utf-8")
        command = [shutil.which("node") or "node", script, str(path)]
        done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=LONGEST, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def stored(waveforms: list[np.ndarray], folder: Path) -> list[str]:
    """Files of float32."""
    paths = [folder / f"{index}.f32" for index in range(len(waveforms))]
    for path, waveform in zip(paths, waveforms, strict=True):
        waveform.astype(np.float32).tofile(path)
    return [str(path) for path in paths]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program."""
    named = [os.environ.get("CHROMIUM"), shutil.which("chromium"), shutil.which("google-chrome")]
    found = next((path for path in named if path), None)
    return found or pytest.fail("there is no Chromium: apt-get install chromium, or set CHROMIUM to a Chrome")


@pytest.fixture(scope="session")
def bundle_of(exported_kinds: Kinds) -> Callable[[str], Path]:
    """The ONNX bundle of a kind of checkpoint, or one that comes along, as the Makefile exports it."""

    def find(name: str) -> Path:
        return BUILD / name if (BUILD / name).is_dir() else exported_kinds.case(name, "onnx").bundle

    return find


@pytest.fixture(scope="session")
def speech() -> list[np.ndarray]:
    """Up to 50 recordings of people reading, of up to 16 s; fewer where only those are there that come along.

    Longer ones are run in windows by the runtime, since `ctc-en` knows positions, and as a whole by transformers.js.
    """
    import soundfile

    files = sorted((SPEECH / "LibriSpeech" / "test-other").rglob("*.flac")) or sorted(SAMPLES.parent.glob("*.flac"))
    return [soundfile.read(file, dtype="float32")[0] for file in files if soundfile.info(file).duration <= 16.0][:50]


@pytest.fixture(scope="session")
def text_of() -> Callable[[Path, list[np.ndarray]], list[str]]:
    """What the runtime makes of recordings, one by one."""

    def run(bundle: Path, waveforms: list[np.ndarray]) -> list[str]:
        with edgespeech_runtime.load(bundle) as model:
            return [model.transcribe(waveform).text for waveform in waveforms]

    return run
