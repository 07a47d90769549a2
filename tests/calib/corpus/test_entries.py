"""Manifests of corpora, line by line: what is wrong with one is an entry with its error."""

import gzip
import json

import pytest
from edgespeech_calib.corpus.entries import from_columns, open_corpus
from edgespeech_calib.errors import CorpusError, DataError
from edgespeech_calib.speech.parts import Part


def entries(path):
    return list(open_corpus(path))


def write(path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_nemo_s_manifest(tmp_path):
    rows = [
        {"audio_filepath": "a.wav", "offset": 1.5, "duration": 2, "text": "one  two"},
        {"audio_filepath": "/deep/b.wav", "offset": None, "duration": 3.25},
        {"audio_filepath": "a.wav", "offset": 0.0, "id": "x"},
    ]
    first, second, third = entries(write(tmp_path / "x.json", *rows))
    assert first.utterance.audio.path == tmp_path / "a.wav"
    assert first.utterance.audio.part == Part(1.5, 2.0)
    assert (first.id, first.utterance.text, first.seconds) == ("a.wav@1.5+2", "one two", 2.0)
    assert str(second.utterance.audio.path) == "/deep/b.wav"
    assert (second.id, second.utterance.audio.part, second.seconds) == ("/deep/b.wav", None, 3.25)
    assert (third.id, third.utterance.audio.part) == ("x", Part(0.0, None))


def cut(**more):
    source = {"type": "file", "channels": [0], "source": "rec.wav"}
    recording = {"id": "rec", "sources": [source], "sampling_rate": 16000, "num_samples": 160000, "duration": 10.0}
    said = {"id": "s", "recording_id": "rec", "start": 0.0, "duration": 1.0, "text": "hello", "speaker": "ann"}
    values = {"id": "cut-1", "start": 2.5, "duration": 1.0, "channel": 0, "supervisions": [said], "type": "MonoCut"}
    return {**values, "recording": recording, **more}


@pytest.mark.parametrize("compress", [False, True])
def test_lhotse_s_cuts(tmp_path, compress):
    path = write(tmp_path / "cuts.jsonl", cut(), cut(id="cut-2", supervisions=[]))
    if compress:
        path = tmp_path / "cuts.jsonl.gz"
        path.write_bytes(gzip.compress((tmp_path / "cuts.jsonl").read_bytes()))
    first, second = entries(path)
    assert (first.id, first.utterance.text, first.utterance.speaker) == ("cut-1", "hello", "ann")
    assert first.utterance.audio.path == tmp_path / "rec.wav"
    assert first.utterance.audio.part == Part(2.5, 1.0, None)
    assert (second.id, second.utterance.text) == ("cut-2", None)


def test_a_channel_of_a_cut_is_that_of_the_file(tmp_path):
    stereo = {"id": "rec", "sources": [{"type": "file", "channels": [0, 1], "source": "rec.wav"}]}
    (entry,) = entries(write(tmp_path / "cuts.jsonl", cut(channel=1, recording=stereo)))
    assert entry.utterance.audio.part == Part(2.5, 1.0, 2)
    two = [{"type": "file", "channels": [index], "source": f"{index}.wav"} for index in (0, 1)]
    (entry,) = entries(write(tmp_path / "cuts.jsonl", cut(channel=1, recording={"id": "rec", "sources": two})))
    assert (entry.utterance.audio.path.name, entry.utterance.audio.part) == ("1.wav", Part(2.5, 1.0, None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "MixedCut"}, "MixedCut is no part of one sound file"),
        ({"recording": None}, "no recording"),
        ({"recording": {"sources": [{"type": "command", "channels": [0], "source": "cat"}]}}, "type 'command'"),
        ({"recording": {"sources": [], "transforms": [{"name": "Speed"}]}}, "transforms"),
        ({"recording": {"sources": []}}, "0 sources"),
        ({"duration": -1}, "the duration is '-1'"),
    ],
)
def test_cuts_that_are_no_part_of_a_file(tmp_path, values, message):
    (entry,) = entries(write(tmp_path / "cuts.jsonl", cut(**values)))
    assert entry.utterance is None
    assert entry.id == "cut-1"
    assert message in entry.error
    assert "cuts.jsonl, line 1" in entry.error


def test_tables_of_common_voice_and_fairseq(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "b.mp3").touch()
    (entry,) = entries(write(tmp_path / "x.tsv", "client_id\tpath\tsentence", "abc\tb.mp3\tHi."))
    assert (entry.utterance.audio.path, entry.utterance.text) == (tmp_path / "clips" / "b.mp3", "Hi.")
    (entry,) = entries(write(tmp_path / "y.tsv", "id\taudio\tn_frames\ttgt_text\tspeaker", "u1\ta.wav\t320\tHallo\ts"))
    assert (entry.id, entry.utterance.audio.path.name, entry.utterance.text) == ("u1", "a.wav", "Hallo")
    first, second = entries(write(tmp_path / "z.tsv", str(tmp_path), "clips/b.mp3\t16000", "c.wav\t8000"))
    assert (first.utterance.audio.path, first.id) == (tmp_path / "clips" / "b.mp3", f"{tmp_path}/clips/b.mp3")
    assert second.line == 3


def test_a_folder_in_librispeech_s_layout(corpus, texts):
    found = {entry.id: entry.utterance.text for entry in open_corpus(corpus)}
    assert found == texts


def test_what_is_wrong_with_a_line_is_an_entry(tmp_path):
    rows = [
        {"audio_filepath": "a.wav"},
        "",
        '{"audio_filepath": "b.wav"',
        "[]",
        {"text": "no path"},
        {"audio_filepath": "c.wav", "duration": -2},
        {"audio_filepath": "d.wav", "offset": -1, "duration": 1},
        {"audio_filepath": ["e.wav", "f.wav"]},
        {"audio_filepath": "a.wav", "text": "again"},
        {"audio_filepath": "g.wav", "id": "a.wav"},
        "\t",
        {"audio_filepath": "h.wav"},
        "",
        "",
    ]
    path = write(tmp_path / "x.jsonl", *rows)
    found = entries(path)
    assert [entry.line for entry in found] == list(range(1, 13))  # not the blank lines at the end
    assert [entry.line for entry in found if entry.error is None] == [1, 12]
    errors = [entry.error for entry in found if entry.error is not None]
    expected = ["the line is empty", "not JSON", "list where an object", "no path", "the duration is '-2'"]
    expected += ["the offset is '-1'", "it must be text", "the id 'a.wav' is that of line 1 too"]
    expected += ["the id 'a.wav' is that of line 1 too", "the line is empty"]
    for error, part in zip(errors, expected, strict=True):
        assert part in error
        assert f"{path}, line " in error
    assert open_corpus(path).entries == 12


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("x.jsonl", "", CorpusError),
        ("x.tsv", "a\tb\n1\t2\n", DataError),
        ("x.txt", "a.wav\n", DataError),
        ("gone.jsonl", None, DataError),
        ("x.jsonl.gz", "no gzip", DataError),
    ],
)
def test_what_is_no_corpus_at_all(tmp_path, name, content, error):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error, match=name):
        open_corpus(tmp_path / name)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "x.tsv").write_bytes(b"path\na.wav\n\xff.wav\nb.wav\n")
    assert [entry.error is None for entry in entries(tmp_path / "x.tsv")] == [True, False, True]
    (tmp_path / "x.csv").write_bytes(b'path,text\na.wav,"one, two"\n\xff.wav,x\nb.wav,three\n')
    assert [entry.error is None for entry in entries(tmp_path / "x.csv")] == [True, False, True]


def test_columns_of_a_batch():
    import numpy as np

    columns = {"audio_filepath": np.array(["/a.wav", None], object), "offset": np.array([np.nan, 1.0])}
    first, second = from_columns(columns)
    assert (first.id, first.utterance.audio.part) == ("/a.wav", None)
    assert "no path" in second.error
