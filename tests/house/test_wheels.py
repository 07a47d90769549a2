"""What people install: the root wheel. The runtime's own is tested in tests/runtime/test_package.py."""

import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from edgespeech_calib.speech.sets import open_set

wheels = pytest.importorskip("hatchling.builders.wheel")

PACKAGES = {
    "edgespeech": "edgespeech",
    "edgespeech_export": "export/edgespeech_export",
    "edgespeech_calib": "calib/edgespeech_calib",
}


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The root wheel, built offline; nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("wheels")
    (built,) = wheels.WheelBuilder(str(root)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        yield archive


def files(folder: Path) -> set[str]:
    found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix() for file in found}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_each_package_whole(wheel, root, package):
    inside = {name.removeprefix(f"{package}/") for name in wheel.namelist() if name.startswith(f"{package}/")}
    assert inside == files(root / PACKAGES[package])
    assert "py.typed" in inside


def test_the_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0] for name in wheel.namelist()} == {*PACKAGES, "edgespeech-0.1.0.dist-info"}


def test_the_embedded_checkpoints_travel_along(wheel, root):
    """What `edgespeech demo` runs on; each is whole enough to be loaded."""
    folders = [
        folder for folder in (root / "edgespeech" / "checkpoints").glob("*/") if (folder / "config.json").exists()
    ]
    assert folders
    for folder in folders:
        texts = "tokenizer.json" if (folder / "tokenizer.json").exists() else "vocab.json"
        for name in ("config.json", "model.safetensors", texts, "preprocessor_config.json"):
            member = wheel.getinfo(f"edgespeech/checkpoints/{folder.name}/{name}")
            assert member.file_size == (folder / name).stat().st_size


def test_the_recordings_travel_along(wheel, tmp_path):
    """What `edgespeech demo` transcribes and calibrates on, usable as it is unpacked."""
    wheel.extractall(tmp_path)  # built from this checkout
    folder = tmp_path / "edgespeech" / "checkpoints"
    for name, count in (("samples/samples.tsv", 6), ("calibration/sentences-en.tsv", 28)):
        data = open_set(folder / name)
        assert len(data.transcribed()) == count
        assert data.skipped == ()


def test_the_metadata_asks_for_the_runtime_of_the_same_version(wheel):
    metadata = HeaderParser().parsestr(wheel.read("edgespeech-0.1.0.dist-info/METADATA").decode())
    required = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    runtime = [line for line in required if line.startswith("edgespeech-runtime")]
    assert len(runtime) == 1
    assert runtime[0].endswith(f"=={metadata['Version']}")
    assert not [line for line in required if line.startswith(("transformers", "openvino"))]  # extras only
    assert metadata["License-Expression"] == "Apache-2.0"


def test_both_licenses_are_there_and_the_same(wheel, root):
    text = (root / "LICENSE").read_bytes()
    assert b"Apache License" in text
    assert (root / "runtime" / "LICENSE").read_bytes().strip() == text.strip()
    assert wheel.read("edgespeech-0.1.0.dist-info/licenses/LICENSE") == text
