"""From a folder to a model in one call; an error leaves nothing half-loaded."""

import pytest
from edgespeech_runtime import CtcModel, EdgeSpeechRuntimeError, load
from edgespeech_runtime.choices import Task
from edgespeech_runtime.tasks import TASKS


def test_the_task_decides_the_class(tiny_bundle, engine):
    folder = tiny_bundle(engine)
    assert isinstance(load(folder), CtcModel)
    assert isinstance(load(str(folder)), CtcModel)


def test_every_task_has_a_class():
    assert set(TASKS) == set(Task.__args__)


def test_a_damaged_bundle_is_refused_before_an_engine_starts(tiny_bundle, monkeypatch):
    folder = tiny_bundle()
    (folder / "weights.data").write_bytes(b"")
    monkeypatch.setattr("edgespeech_runtime.bundle.loading.start", lambda *_: pytest.fail("an engine was started"))
    with pytest.raises(EdgeSpeechRuntimeError, match=r"weights.data has 0 bytes"):
        load(folder)


@pytest.mark.parametrize("path", ["", "nowhere"])
def test_no_bundle_there(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        load(path)


def test_a_moved_bundle_still_opens(tiny_bundle, engine, say, tmp_path):
    moved = tiny_bundle(engine).rename(tmp_path / "ein anderer Ort, ü")
    with load(moved) as model:
        assert model.transcribe([say("A"), say("BB")])[1].text == "B"
