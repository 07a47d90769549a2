"""Tables of sound files in the forms in which people have them."""

import json

import pytest
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError


@pytest.fixture
def folder(tmp_path, write):
    for name in ("a.wav", "deep/b.flac"):
        write(tmp_path / "set" / name)
    return tmp_path / "set"


def facts(found):
    return [(u.id, u.text, u.speaker, u.seconds) for u in found]


def test_a_table_with_all_columns(folder):
    content = "path\tduration\tspeaker\ttranscript\textra\na.wav\t0.5\tann\tHELLO  THERE\tx\ndeep/b.flac\t\t\t\ty\n"
    (folder / "train.tsv").write_text(content, encoding="utf-8")
    assert facts(open_set(folder / "train.tsv")) == [
        ("a", "HELLO THERE", "ann", 0.5),
        ("deep/b", "", None, 0.1),  # an empty cell of text says that nothing is said
    ]


def test_a_table_of_paths_alone(folder):
    (folder / "x.tsv").write_text("\ufeffpath\r\na.wav\r\n\r\n", encoding="utf-8", newline="")
    assert facts(open_set(folder / "x.tsv")) == [("a", None, None, 0.1)]


def test_quotes_are_letters_in_tsv_and_quotes_in_csv(folder):
    (folder / "x.tsv").write_text('path\ttext\na.wav\t"hi", he said\n', encoding="utf-8")
    (folder / "x.csv").write_text('path,text\na.wav,"hi, you"\n', encoding="utf-8")
    assert open_set(folder / "x.tsv").utterances[0].text == '"hi", he said'
    assert open_set(folder / "x.csv").utterances[0].text == "hi, you"


@pytest.mark.parametrize(("path", "text"), [("audio_filepath", "text"), ("file_name", "transcription")])
def test_json_lines(folder, path, text):
    rows = [{path: "a.wav", text: "one", "duration": 0.25, "speaker": 7}, {path: "deep/b.flac", text: None, "id": "x"}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "x.jsonl").write_text(content, encoding="utf-8")
    assert facts(open_set(folder / "x.jsonl")) == [("a", "one", "7", 0.25), ("x", None, None, 0.1)]


def test_common_voice_keeps_its_sound_in_clips(folder):
    (folder / "deep").rename(folder / "clips")
    (folder / "x.tsv").write_text("client_id\tpath\tsentence\nabc\tb.flac\tHi.\n", encoding="utf-8")
    assert facts(open_set(folder / "x.tsv")) == [("b", "Hi.", "abc", 0.1)]


def test_absolute_paths(folder, tmp_path):
    (tmp_path / "x.tsv").write_text(f"path\n{folder / 'a.wav'}\n", encoding="utf-8")
    assert len(open_set(tmp_path / "x.tsv")) == 1


def test_files_that_are_not_there_are_left_out_and_named(folder):
    (folder / "x.tsv").write_text("path\tduration\ngone.wav\t3\na.wav\t\n", encoding="utf-8")
    found = open_set(folder / "x.tsv")
    assert [utterance.id for utterance in found] == ["a"]
    assert [(skipped.id, "no such audio file" in skipped.reason) for skipped in found.skipped] == [("gone", True)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.tsv", "", "the first line must name the columns"),
        ("x.tsv", "a.wav\thello\n", "the first line must name the columns, path among them; it holds a.wav, hello"),
        ("x.tsv", "path\ttext\na.wav\n", "line 2: 1 cells where the first line names 2"),
        ("x.tsv", "path\ttext\n\thi\n", "line 2: no path"),
        ("x.tsv", "path\tduration\na.wav\tlong\n", "line 2: the duration is 'long'"),
        ("x.tsv", "path\tduration\na.wav\tnan\n", "line 2: the duration is 'nan'"),
        ("x.tsv", "path\tduration\na.wav\t-1\n", "line 2: the duration is '-1'"),
        ("x.csv", 'path,text\na.wav,"hi\n', "line 2: not a line of a table"),
        ("x.jsonl", '{"path": "a.wav"\n', "line 1: not JSON"),
        ("x.jsonl", "[]\n", "line 1: list where an object"),
        ("x.jsonl", '{"text": "a"}\n', "line 1: no path"),
        ("x.jsonl", '{"path": "a.wav", "text": ["a"]}\n', "line 1: text is"),
        ("x.tsv", "path\n", "holds no sound files"),
        ("x.tsv", b"path\n\xff.wav\n", "is not UTF-8 text"),
    ],
)
def test_what_is_no_manifest(folder, name, content, message):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        open_set(folder / name)
    assert name in str(caught.value)
