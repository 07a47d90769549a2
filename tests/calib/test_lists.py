"""Lists of utterances: written, read, and resolved against the set from which they were drawn."""

import hashlib
import shutil
from pathlib import Path

import pytest
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError, DataMissingError
from edgespeech_calib.speech import lists

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "speech" / "LibriSpeech" / "train-clean-100"
COMMITTED = ROOT / "calib" / "lists" / "librispeech-train-clean-100.tsv"


@pytest.fixture
def drawn(corpus, tmp_path):
    """A list of three utterances, beside no set."""
    path = tmp_path / "lists" / "three.tsv"
    chosen = open_set(corpus).sample(3)
    lists.write(path, chosen.utterances, {"set": "LibriSpeech/dev-clean", "drawn": "for a test"})
    return path


def test_a_list_holds_ids_lengths_and_checksums(drawn, corpus):
    found = lists.read(drawn)
    assert found.facts == {"set": "LibriSpeech/dev-clean", "drawn": "for a test"}
    for entry in found.entries:
        (path,) = corpus.rglob(f"{entry.id}.*")
        assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(found.entries) == 3


def test_a_list_is_resolved_in_a_folder_and_in_an_archive(drawn, corpus, pack, texts):
    wanted = {entry.id for entry in lists.read(drawn).entries}
    for root in (corpus, pack(corpus)):
        found = open_set(drawn, root=root)
        assert {utterance.id for utterance in found} == wanted
        assert all(utterance.text == texts[utterance.id] for utterance in found)
        assert found.skipped == ()


def test_a_list_beside_its_set_needs_no_root(drawn, corpus):
    shutil.copy(drawn, corpus / "three.tsv")
    assert len(open_set(corpus / "three.tsv")) == 3


def test_a_list_may_say_where_its_set_lies(drawn, corpus):
    text = drawn.read_text(encoding="utf-8")
    drawn.write_text(text.replace("# drawn", f"# root: ../{corpus.name}\n# drawn"), encoding="utf-8")
    assert len(open_set(drawn)) == 3


def test_a_list_finds_what_was_fetched(drawn, corpus, pack, tmp_path):
    (tmp_path / "fetched").mkdir()
    pack(corpus).rename(tmp_path / "fetched" / "dev-clean.tar.gz")
    assert len(open_set(drawn)) == 3


def test_missing_and_changed_recordings_are_left_out_and_named(drawn, corpus, write):
    first, second, third = [entry.id for entry in lists.read(drawn).entries]
    next(corpus.rglob(f"{first}.*")).unlink()
    write(next(corpus.rglob(f"{second}.*")))  # other sound
    found = open_set(drawn, root=corpus)
    assert [utterance.id for utterance in found] == [third]
    reasons = {skipped.id: skipped.reason for skipped in found.skipped}
    assert "not in" in reasons[first]
    assert "another SHA-256" in reasons[second]


def test_a_list_whose_set_is_nowhere(drawn):
    with pytest.raises(DataMissingError, match=r"LibriSpeech/dev-clean, and none is in .*--root"):
        open_set(drawn)


GOOD = "# edgespeech list 1\n# set: x\nid\tseconds\tsha256\na\t1.0\t" + "0" * 64 + "\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD.replace("list 1", "list 2"), "version 2, this edgespeech reads 1"),
        (GOOD.replace("sha256", "md5"), "columns id, seconds, sha256"),
        (GOOD.replace("1.0", "long"), "line 4: expected an id, seconds and a SHA-256"),
        (GOOD.replace("1.0", "nan"), "line 4"),
        (GOOD.replace("0000", "zzzz"), "line 4"),
        (GOOD.replace("\t1.0", ""), "line 4"),
        (GOOD + GOOD.splitlines()[-1] + "\n", "twice"),
        ("".join(GOOD.splitlines(keepends=True)[:3]), "lists no utterances"),
        ("# edgespeech list 1\n", "columns id, seconds, sha256"),
    ],
)
def test_what_is_no_list(tmp_path, content, message):
    (tmp_path / "x.tsv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        open_set(tmp_path / "x.tsv")


def test_the_committed_list_reads():
    found = lists.read(COMMITTED)
    assert len(found.entries) == 128
    assert found.facts["set"] == "LibriSpeech/train-clean-100"
    assert len({entry.id.split("-")[0] for entry in found.entries}) == 128  # speakers


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs shared/speech, beside the checkout")
def test_the_committed_list_is_what_its_head_says():
    whole = open_set(SHARED)
    again = whole.sample(128, seed=0)
    assert {utterance.id for utterance in again} == {entry.id for entry in lists.read(COMMITTED).entries}
    found = open_set(COMMITTED, root=SHARED)
    assert len(found) == 128
    assert found.skipped == ()
