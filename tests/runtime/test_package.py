"""Promises of the package as a whole: what it imports, what it exports, what it weighs."""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import edgespeech_runtime
import pytest
from edgespeech_runtime import errors

SOURCE = Path(edgespeech_runtime.__file__).parent
PROJECT = Path(__file__).parents[2] / "runtime"
ALLOWED = {  # beyond numpy and the standard library
    "engines/onnx.py": {"onnxruntime"},
    "engines/openvino.py": {"openvino"},
    "audio/sound_files.py": {"soundfile"},
    "audio/samples.py": {"soxr"},
    "audio/media.py": {"av"},
    "live/microphone.py": {"sounddevice"},
    "__pyinstaller/hook-edgespeech_runtime.py": {"PyInstaller"},  # run by PyInstaller alone
    "__pyinstaller/hook-openvino.py": {"PyInstaller"},
}


def run_python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""  # no engine's chatter
    return done.stdout


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_are_numpy_and_the_standard_library(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module.split(".")[0])
    foreign = imported - sys.stdlib_module_names - {"numpy"}
    assert foreign <= ALLOWED.get(path.relative_to(SOURCE).as_posix(), set())


def test_importing_loads_neither_engines_nor_audio_packages():
    code = (
        "import json, sys, edgespeech_runtime\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    loaded = set(json.loads(run_python(code)))
    assert not loaded & {"torch", "onnxruntime", "openvino", "onnx", "soundfile", "soxr", "av", "transformers"}
    site = "import json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    extra = loaded - set(json.loads(run_python(site))) - set(sys.stdlib_module_names)
    assert {name for name in extra if not name.startswith("_")} - {"cython_runtime"} == {"edgespeech_runtime"}


def test_transcribing_loads_no_torch(tiny_bundle, engine):
    code = (
        "import sys, numpy, edgespeech_runtime\n"
        "model = edgespeech_runtime.load(sys.argv[1], threads=1)\n"
        "model.transcribe([numpy.zeros(4000, numpy.float32), numpy.zeros(3900, numpy.float32)])\n"
        "unwanted = ('torch', 'edgespeech', 'transformers', 'onnx', 'soundfile', 'soxr', 'av')\n"
        "print([name for name in unwanted if name in sys.modules])"
    )
    assert run_python(code, tiny_bundle(engine)).strip() == "[]"


def test_all_is_what_can_be_imported():
    values = [getattr(edgespeech_runtime, name) for name in edgespeech_runtime.__all__]
    assert not [value for value in values if isinstance(value, type(sys))]
    assert set(edgespeech_runtime.__all__) == set(edgespeech_runtime._HOME_OF)
    assert len(edgespeech_runtime.__all__) == len(set(edgespeech_runtime.__all__))


def test_the_package_file_is_short():
    assert len((SOURCE / "__init__.py").read_text(encoding="utf-8").splitlines()) < 90


def test_every_error_has_the_root_and_a_standard_exception():
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(classes) > 5
    for cls in classes:
        assert issubclass(cls, errors.EdgeSpeechRuntimeError)
        if cls is not errors.EdgeSpeechRuntimeError:
            assert issubclass(cls, ValueError | RuntimeError | OSError | ImportError)
        assert cls.__name__ in errors.__doc__


@pytest.mark.skipif(not PROJECT.exists(), reason="needs the checkout")
def test_version_is_that_of_the_project():
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{edgespeech_runtime.__version__}"' in text.splitlines()


@pytest.mark.skipif(not PROJECT.exists(), reason="needs the checkout")
def test_the_wheel_is_small_and_whole(tmp_path):
    wheels = pytest.importorskip("hatchling.builders.wheel")
    (built,) = wheels.WheelBuilder(str(PROJECT)).build(directory=str(tmp_path), versions=["standard"])
    assert Path(built).stat().st_size < 450_000
    with zipfile.ZipFile(built) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read("edgespeech_runtime-0.1.0.dist-info/METADATA").decode()
    sources = {f"edgespeech_runtime/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*.py")}
    assert {name for name in names if not name.startswith("edgespeech_runtime-")} == sources | {
        "edgespeech_runtime/py.typed"
    }
    assert any(name.endswith("LICENSE") for name in names)
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert required == ["Requires-Dist: numpy>=1.24"]
