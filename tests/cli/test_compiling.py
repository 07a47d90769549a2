"""A device that compiles for more than two seconds is named on stderr; one that is faster, or may not, is not."""

import threading

import pytest
from edgespeech_runtime.cli.display import compiling
from edgespeech_runtime.engines import compiled


@pytest.fixture(autouse=True)
def no_watcher(monkeypatch):
    """Leave nothing behind for other tests."""
    monkeypatch.setattr(compiled, "_watchers", [])


def test_what_takes_long_is_named_once(monkeypatch, capsys):
    monkeypatch.setattr(compiling, "PATIENCE", 0.01)
    compiling.announce()
    compiling.announce()
    (watcher,) = compiled._watchers
    before = set(threading.enumerate())
    with watcher("encoder.onnx", "onnx:X"):
        for timer in set(threading.enumerate()) - before:
            timer.join(timeout=60)
    assert capsys.readouterr().err == "  compiling encoder.onnx for onnx:X; it is kept for the next time\n"


def test_what_is_fast_or_fails_at_once_is_not(capsys):
    compiling.announce()
    (watcher,) = compiled._watchers
    with pytest.raises(RuntimeError), watcher("encoder.onnx", "onnx:X"):
        raise RuntimeError
    assert compiling.PATIENCE == 2.0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("options", "watchers"), [((), 1), (("--quiet",), 0)])
def test_transcribing_announces_unless_it_is_quiet(run, bundle, recordings, options, watchers):
    run("transcribe", bundle, recordings[0], *options)
    assert len(compiled._watchers) == watchers
