"""What was checked is what runs: files that are opened later, altered, moved or replaced while a model is loaded."""

import os
import shutil

import numpy as np
import pytest
from edgespeech_runtime import load
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.errors import BundleError

GRAPHS = {
    "onnx": ("batch.onnx", "weights.data"),
    "openvino": ("openvino_batch.xml", "openvino_batch.bin"),
    "numpy": ("batch.json", "weights.npz"),
}
IN_USE = {"onnx": "weights.data", "openvino": "openvino_model.bin", "numpy": "weights.npz"}


def altered(path):
    """Write to a file in its place: same length, and the same times as before."""
    times = path.stat()
    with path.open("r+b") as file:
        content = bytearray(file.read())
        middle = len(content) // 2
        content[middle : middle + 64] = bytes(64)
        file.seek(0)
        file.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture
def mixed(say):
    """Two utterances of different lengths, for which the graph of batches is opened."""
    return [say("A_B|C"), say("A_B")]


def test_moving_the_working_folder_changes_nothing(tiny_bundle, engine, mixed, tmp_path, monkeypatch):
    folder = tiny_bundle(engine)
    monkeypatch.chdir(folder.parent)
    with load(folder.name) as model:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert [each.text for each in model.transcribe(mixed)] == ["AB C", "AB"]
        model.self_check()


@pytest.mark.parametrize("part", [0, 1])
def test_a_graph_that_is_opened_later_must_be_what_was_checked(tiny_bundle, engine, mixed, part):
    folder = tiny_bundle(engine)
    name = GRAPHS[engine][part]
    with load(folder) as model:
        altered(folder / name)
        with pytest.raises(BundleError, match=f"{name} does not match its checksum"):
            model.transcribe(mixed)


def test_another_bundle_in_the_same_place(tiny_bundle, engine, mixed, say, tmp_path):
    folder = tiny_bundle(engine)
    with load(folder) as model:
        other = shutil.copytree(folder, tmp_path / "other")
        for name in GRAPHS[engine]:
            altered(other / name)
        folder.rename(tmp_path / "old")
        other.rename(folder)
        assert model.transcribe(say("A_B")).text == "AB"  # what is loaded stays as it was
        with pytest.raises(BundleError, match="does not match its checksum"):
            model.transcribe(mixed)


def test_weights_that_are_altered_while_they_are_in_use(tiny_bundle, engine, say):
    folder = tiny_bundle(engine)
    with load(folder) as model:
        expected, content = model.logits(say("A_B")), (folder / IN_USE[engine]).read_bytes()
        altered(folder / IN_USE[engine])
        with pytest.raises(BundleError, match=f"{IN_USE[engine]} does not match its checksum"):
            model.logits(say("A_B"))
        with (folder / IN_USE[engine]).open("r+b") as file:
            file.write(content)
        np.testing.assert_array_equal(model.logits(say("A_B")), expected)


def test_what_changes_no_content_is_no_error(tiny_bundle, engine, mixed):
    folder = tiny_bundle(engine)
    with load(folder) as model:
        for path in folder.iterdir():
            os.utime(path)
        before = {path.name: sha256(path) for path in folder.iterdir()}
        assert [each.text for each in model.transcribe(mixed)] == ["AB C", "AB"]
        assert before == {path.name: sha256(path) for path in folder.iterdir()}


def test_a_bundle_that_is_gone(tiny_bundle, engine, mixed, say):
    folder = tiny_bundle(engine)
    with load(folder) as model:
        shutil.rmtree(folder)
        assert model.transcribe(say("A_B")).text == "AB"
        with pytest.raises(BundleError, match=r"is listed in edgespeech.json but is not in the bundle"):
            model.transcribe(mixed)


def test_the_golden_vectors_are_checked_when_they_are_read(tiny_bundle):
    folder = tiny_bundle()
    with load(folder, self_check="never") as model:
        altered(folder / "golden.npz")
        with pytest.raises(BundleError, match=r"golden.npz does not match its checksum"):
            model.self_check()


def test_a_link_that_is_set_elsewhere(tiny_bundle, mixed, tmp_path):
    (tmp_path / "current").symlink_to(tiny_bundle("onnx"), target_is_directory=True)
    with load(tmp_path / "current") as model:
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to(tmp_path, target_is_directory=True)
        assert [each.text for each in model.transcribe(mixed)] == ["AB C", "AB"]
