"""When which label holds: cells of manifests, RTTM files, labels in tables and in names of folders."""

import json

import pytest
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.segments import Segment, read_rttm


@pytest.fixture
def manifest(tmp_path, write):
    """`manifest(name, *lines)`: a manifest of one.wav and two.wav."""

    def make(name, *lines):
        for sound in ("one", "two"):
            write(tmp_path / f"{sound}.wav")
        path = tmp_path / name
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
        return path

    return make


@pytest.mark.parametrize("column", ["label", "class", "category"])
def test_labels_of_a_table(manifest, column):
    data = open_set(manifest("x.tsv", f"path\t{column}", "one.wav\tturn left", "two.wav\t")).labelled()
    assert [(u.id, u.label) for u in data] == [("one", "turn left")]
    assert [(one.id, one.reason) for one in data.skipped] == [("two", "no label")]


def test_segments_of_json_lines(manifest):
    path = manifest(
        "x.jsonl",
        {"path": "one.wav", "segments": [[0, 0.5, "ann"], {"start": 0.25, "end": 1.5, "label": " bob "}]},
        {"path": "two.wav", "segments": []},
    )
    first, second = open_set(path).segmented()
    assert first.segments == (Segment(0.0, 0.5, "ann"), Segment(0.25, 1.5, "bob"))
    assert second.segments == ()


@pytest.mark.parametrize(
    "cell",
    ["0-1 ann", [[0, 1]], [[1, 0, "a"]], [[0, 0, "a"]], [[-1, 0, "a"]], [[0, True, "a"]], [[0, 1, ""]], [[0, 1, 7]]],
)
def test_cells_that_are_no_segments(manifest, cell):
    with pytest.raises(DataError, match=r"x\.jsonl, line 1: "):
        open_set(manifest("x.jsonl", {"path": "one.wav", "segments": cell}))


def test_rttm_beside_the_recordings(tmp_path, write):
    write(tmp_path / "deep" / "one.flac")
    write(tmp_path / "two.wav")
    text = ";; a comment\nSPKR-INFO one 1 <NA> <NA> <NA> unknown ann <NA> <NA>\n"
    text += "SPEAKER one 1 0.5 1.25 <NA> <NA> ann <NA> <NA>\nSPEAKER one 1 1 0 <NA> <NA> bob <NA> <NA>\n"
    (tmp_path / "deep" / "one.rttm").write_text(text, encoding="utf-8")
    data = open_set(tmp_path).segmented()
    assert [(u.id, u.segments) for u in data] == [("deep/one", (Segment(0.5, 1.75, "ann"),))]
    assert [(one.id, one.reason) for one in data.skipped] == [("two", "no segments")]


def test_rttm_of_several_recordings_gives_those_of_its_name(tmp_path):
    path = tmp_path / "b.rttm"
    path.write_text("SPEAKER a 1 0 1 x x ann\nSPEAKER b 1 2 1 x x bob\n", encoding="utf-8")
    assert read_rttm(path) == (Segment(2.0, 3.0, "bob"),)


@pytest.mark.parametrize("line", ["SPEAKER a 1 0 1", "SPEAKER a 1 zero 1 x x ann", "SPEAKER a 1 -1 2 x x ann"])
def test_rttm_that_is_none(tmp_path, line):
    path = tmp_path / "a.rttm"
    path.write_text(f"\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.rttm, line 2: "):
        read_rttm(path)


def test_folders_say_labels_where_nothing_else_does(tmp_path, write, pack):
    root = tmp_path / "commands"
    for name in ("yes/a", "no/a", "_noise_/b", "alone"):
        write(root / f"{name}.wav")
    found = open_set(root).labelled()
    assert {u.id: u.label for u in found} == {"yes/a": "yes", "no/a": "no", "_noise_/b": "_noise_"}
    assert [(one.id, one.reason) for one in found.skipped] == [("alone", "no label")]
    packed = {u.id: u.label for u in open_set(pack(root)).labelled()}
    assert (packed["commands/yes/a"], packed["commands/no/a"]) == ("yes", "no")


def test_folders_say_nothing_where_there_are_transcripts(corpus):
    with pytest.raises(DataError, match="has no labels, and accuracy cannot be measured without"):
        open_set(corpus).labelled()
    with pytest.raises(DataError, match="does not say when which label holds"):
        open_set(corpus).segmented()
