"""`edgespeech export --static --buckets-from`: buckets that suit the recordings of a set."""

import json
import re

import numpy as np
import pytest
from edgespeech_runtime.bundle.manifest import Manifest

soundfile = pytest.importorskip("soundfile")
RATE, HOP = 16000, 64


@pytest.fixture
def speech_set(tmp_path):
    """Five recordings of 0.5 to 3 s, one of them at another rate, and one that is damaged."""
    folder = tmp_path / "set"
    folder.mkdir()
    for index, (seconds, rate) in enumerate([(0.5, RATE), (0.501, RATE), (1.2, 8000), (2.9, RATE), (3.0, RATE)]):
        soundfile.write(folder / f"{index}.wav", 0.1 * np.ones(int(seconds * rate)), rate)
    (folder / "bad.wav").write_bytes(b"no sound")
    return folder


def test_buckets_follow_from_recordings(run, checkpoint, tmp_path, speech_set):
    options = ("--static", "--engine", "numpy", "--buckets-from", speech_set, "--buckets-count", "3")
    result = run("export", checkpoint, tmp_path / "bundle", *options)
    assert result.exit_code == 0, result.output
    assert "buckets: left out 1 recording: bad" in result.stderr
    assert "checking recordings" in result.stderr
    manifest = Manifest.from_json((tmp_path / "bundle" / "edgespeech.json").read_text(encoding="utf-8"))
    assert manifest.static.buckets == tuple(-(-int(s * RATE) // HOP) * HOP for s in (0.501, 1.2, 3.0))
    chosen = manifest.provenance["buckets"]
    assert (chosen["set"], chosen["recordings"], chosen["longer"]) == ("set", 5, 0)
    assert str(speech_set) not in json.dumps(manifest.provenance)
    for shown in (result.stdout, run("inspect", tmp_path / "bundle").stdout):
        assert re.search(r"buckets +0\.504, 1\.2, 3 s\n", shown)
        assert f"by 5 recordings of set: {100 * chosen['padding']:.1f} % of the audio is padding" in shown


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--static", "--buckets-from", "x", "--buckets", "2,3"), "--buckets and --buckets-from contradict each other"),
        (("--static", "--buckets-count", "2"), "--buckets-count is for --buckets-from; name a set"),
        (("--static", "--buckets-root", "x"), "--buckets-root is for --buckets-from; name a set"),
        (("--target", "npu", "--longest-bucket", "9"), "--longest-bucket is for --buckets-from; name a set"),
        (("--buckets-from", "x"), "--buckets-from is for graphs of fixed shapes; add --static"),
        (("--static", "--buckets-from", "/nowhere/x", "--quiet"), "/nowhere/x: no such folder, archive"),
        (
            ("--static", "--buckets-from", "SET", "--longest-bucket", "1.5"),
            "must hold the 2 s of a bundle's self-check",
        ),
    ],
)
def test_contradictions_are_refused_in_a_line(refused, checkpoint, tmp_path, speech_set, options, line):
    given = [speech_set if option == "SET" else option for option in options]
    if "SET" in options:
        (speech_set / "bad.wav").unlink()
    assert line in refused("export", checkpoint, tmp_path / "bundle", *given)
    assert not (tmp_path / "bundle").exists()
