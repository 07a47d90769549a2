"""A program that PyInstaller freezes with the hooks of the runtime's wheel, and runs where there is no Python."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "runtime"
APP = """
import sys
import numpy as np
import edgespeech_runtime
samples = np.frombuffer(open(sys.argv[2], "rb").read(), np.float32)
with edgespeech_runtime.load(sys.argv[1]) as model:
    print(model.transcribe([samples, samples[:640]])[0].text)
"""
LEFT_OUT = ("torch", "onnx", "scipy", "sympy", "transformers", "IPython", "matplotlib", "pandas", "PIL", "tkinter")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The runtime's wheel, unpacked as it would be installed."""
    wheels = pytest.importorskip("hatchling.builders.wheel")
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = wheels.WheelBuilder(str(PROJECT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.skipif(not PROJECT.exists(), reason="needs the checkout")
def test_the_wheel_names_its_hooks(wheel):
    (entries,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "[pyinstaller40]\nhook-dirs = edgespeech_runtime.__pyinstaller:get_hook_dirs" in entries.read_text()
    code = "import edgespeech_runtime.__pyinstaller as hooks\nprint(*hooks.get_hook_dirs())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(wheel)}, capture_output=True, text=True
    )
    (folder,) = done.stdout.splitlines()
    assert Path(folder).is_relative_to(wheel)
    assert {path.name for path in Path(folder).glob("hook-*")} == {"hook-edgespeech_runtime.py", "hook-openvino.py"}


@pytest.mark.slow
@pytest.mark.skipif(not PROJECT.exists(), reason="needs the checkout")
def test_a_frozen_program_runs_every_engine(wheel, tiny_bundle, say, tmp_path):
    pytest.importorskip("PyInstaller")
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "samples").write_bytes(say("A_B|C").tobytes())
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", "--onedir", "--noconfirm", "app.py"]
    command += [flag for name in LEFT_OUT for flag in ("--exclude-module", name)]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)}, check=True)
    for engine in ("numpy", "onnx", "openvino"):
        run = [tmp_path / "dist" / "app" / "app", tiny_bundle(engine), tmp_path / "samples"]
        done = subprocess.run(run, cwd="/", env={}, capture_output=True, text=True, check=False)
        assert (done.stdout, done.returncode) == ("AB C\n", 0), done.stderr


@pytest.mark.skipif(not PROJECT.exists(), reason="needs the checkout")
def test_the_hook_names_every_module_that_is_imported_when_it_is_used(wheel):
    pytest.importorskip("PyInstaller")
    code = (
        "import json, runpy, sys\n"
        "import edgespeech_runtime.__pyinstaller as hooks\n"
        "hook = runpy.run_path(hooks.get_hook_dirs()[0] + '/hook-edgespeech_runtime.py')\n"
        "print(json.dumps(hook['hiddenimports']))"
    )
    command, environment = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    named = set(json.loads(done.stdout.splitlines()[-1]))
    package = wheel / "edgespeech_runtime"
    modules = {
        ".".join(path.relative_to(wheel).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in ("cli", "__pyinstaller")
    }
    assert modules - named == set()
    assert not [name for name in named if name.startswith(("edgespeech_runtime.cli", "edgespeech_runtime.__py"))]
