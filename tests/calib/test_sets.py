"""Finding utterances in folders and archives, with and without transcripts, with damaged ones among them."""

import shutil

import numpy as np
import pytest
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError, DataMissingError
from edgespeech_calib.speech.archive import Archive
from edgespeech_runtime.audio import read_audio

RATE = 16000


@pytest.fixture(params=["folder", "subset", "nested", "tar.gz", "tar"])
def found(request, corpus, pack, tmp_path):
    """The same set in each form."""
    if request.param == "subset":
        return open_set(corpus / "dev-clean")
    if request.param == "nested":
        (tmp_path / "a" / "b").mkdir(parents=True)
        shutil.move(corpus, tmp_path / "a" / "b" / "c")
        return open_set(tmp_path / "a")
    if request.param == "folder":
        return open_set(corpus)
    archive = pack(corpus, f"corpus.{request.param}")
    shutil.rmtree(corpus)
    return open_set(archive)


def test_each_form_gives_the_same(found, texts):
    assert {utterance.id: utterance.text for utterance in found} == texts
    assert {utterance.id: utterance.speaker for utterance in found} == {name: name.split("-")[0] for name in texts}
    assert {utterance.id: round(utterance.seconds * 50) for utterance in found} == {  # frames of 20 ms
        "19-198-0000": 5,
        "19-198-0001": 9,
        "26-495-0000": 3,
        "87-121-0003": 13,
        "87-121-0010": 3,
    }
    assert found.skipped == ()
    assert found.seconds == pytest.approx(33 / 50)


def test_each_form_gives_the_same_sound(corpus, pack):
    archive, folder = open_set(pack(corpus)), {utterance.id: utterance for utterance in open_set(corpus)}
    wanted = list(archive)
    for utterance in [*wanted, *reversed(wanted)]:  # forwards, and back where the archive is read again
        same = folder[utterance.id]
        assert np.array_equal(utterance.audio.read(RATE), read_audio(same.audio.path, RATE))
        assert utterance.audio.sha256() == same.audio.sha256()
        assert utterance.audio.header() == same.audio.header()


def test_an_archive_is_passed_over_once_and_nothing_is_unpacked(corpus, pack, tmp_path, monkeypatch):
    archive = pack(corpus)
    shutil.rmtree(corpus)
    opened = []
    advance = Archive._advance
    monkeypatch.setattr(Archive, "_advance", lambda self: (opened.append(self._open is None), advance(self))[1])
    found = open_set(archive)
    assert opened.count(True) == 1
    opened.clear()
    for utterance in found.sample(3):
        utterance.audio.read(RATE)
    assert opened.count(True) == 1
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_folder_of_sound_without_transcripts(tmp_path, write):
    write(tmp_path / "x" / "b.wav", rate=8000)
    write(tmp_path / "x" / "deep" / "a.flac")
    write(tmp_path / "x" / ".hidden" / "c.wav")
    (tmp_path / "x" / "notes.txt").write_text("no sound", encoding="utf-8")
    found = open_set(tmp_path / "x")
    assert [(u.id, u.text, u.speaker) for u in found] == [("b", None, None), ("deep/a", None, None)]
    assert [u.audio.header().sampling_rate for u in found] == [8000, 16000]
    with pytest.raises(DataError, match="has no transcripts"):
        found.transcribed()


def test_two_forms_of_one_recording_have_ids_of_their_own(tmp_path, write):
    write(tmp_path / "x" / "a.wav")
    write(tmp_path / "x" / "a.flac")
    assert [utterance.id for utterance in open_set(tmp_path / "x")] == ["a.flac", "a.wav"]


def test_damaged_files_are_left_out_and_named(corpus, pack, texts):
    damaged = corpus / "dev-clean" / "19" / "198" / "19-198-0001.flac"
    damaged.write_bytes(b"fLaC" + bytes(100))
    empty = corpus / "dev-clean" / "87" / "121" / "87-121-0010.flac"
    empty.write_bytes(b"")
    for place in (corpus, pack(corpus)):
        found = open_set(place)
        assert {utterance.id for utterance in found} == texts.keys() - {damaged.stem, empty.stem}
        assert sorted(skipped.id for skipped in found.skipped) == [damaged.stem, empty.stem]
        assert all(damaged.name in s.reason or empty.name in s.reason for s in found.skipped)


def test_an_id_that_is_there_twice_is_taken_once(corpus, texts):
    shutil.copytree(corpus / "dev-clean", corpus / "copy")
    found = open_set(corpus)
    assert len(found) == len(texts)
    assert sorted(skipped.id for skipped in found.skipped) == sorted(texts)
    assert "has the id of" in found.skipped[0].reason


def test_those_without_transcript_are_counted(corpus, texts):
    (corpus / "dev-clean" / "19" / "198" / "19-198.trans.txt").unlink()
    found = open_set(corpus).transcribed()
    assert {utterance.id for utterance in found} == {name for name in texts if not name.startswith("19")}
    assert [(s.id, s.reason) for s in found.skipped] == [
        ("19-198-0000", "no transcript"),
        ("19-198-0001", "no transcript"),
    ]


def test_a_manifest_in_a_folder_without_transcripts_is_pointed_out(tmp_path, write):
    write(tmp_path / "x" / "a.wav")
    (tmp_path / "x" / "train.tsv").write_text("path\ttext\na.wav\thello\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.tsv may be one"):
        open_set(tmp_path / "x").transcribed()


def test_a_fetched_subset_is_known_by_its_name(corpus, pack, tmp_path, texts):
    (tmp_path / "fetched").mkdir()
    pack(corpus).rename(tmp_path / "fetched" / "dev-clean.tar.gz")
    assert len(open_set("dev-clean")) == len(texts)
    with pytest.raises(DataMissingError, match="test-clean"):
        open_set("test-clean")


def test_what_is_no_set(tmp_path, corpus):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.doc").write_text("hello", encoding="utf-8")
    with pytest.raises(DataMissingError, match="nowhere"):
        open_set(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no sound files"):
        open_set(tmp_path / "empty")
    with pytest.raises(DataError, match="is no set of recordings"):
        open_set(tmp_path / "x.doc")
    with pytest.raises(DataError, match="is no list"):
        open_set(corpus, root=corpus)


def test_a_set_in_which_nothing_can_be_used(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.flac").write_bytes(b"nothing")
    (tmp_path / "x" / "b.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"none of the 2 recordings in .* can be used; the first: .*a\.flac"):
        open_set(tmp_path / "x")


def test_transcripts_that_are_no_text(corpus):
    (corpus / "dev-clean" / "19" / "198" / "19-198.trans.txt").write_bytes(b"19-198-0000 \xff\xfe\n")
    with pytest.raises(DataError, match=r"19-198\.trans\.txt is not UTF-8"):
        open_set(corpus)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_an_archive_that_is_cut_off(corpus, pack, share):
    archive = pack(corpus)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=r"corpus\.tar\.gz is no tar archive that can be read, or is cut off"):
        open_set(archive)


def test_an_archive_that_is_none(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(DataError, match="no tar archive"):
        open_set(tmp_path / "x.tar.gz")


def test_an_archive_that_changes_while_it_is_read(corpus, pack):
    archive = pack(corpus)
    last = open_set(archive).utterances[-1]
    shutil.rmtree(corpus / "dev-clean")
    pack(corpus)
    with pytest.raises(DataError, match="has changed"):
        last.audio.read(RATE)


def test_progress_counts_utterances(corpus, texts):
    seen = []
    open_set(corpus, progress=seen.append)
    assert seen == list(range(1, len(texts) + 1))
