"""KenLM's binary files of every type, against the scores of its own program; files that are cut, altered or foreign."""

import pickle
import struct

import pytest
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.ngrams.kenlm.vocabulary import murmur
from edgespeech_runtime.errors import LanguageModelError

TYPES = ("probing", "rest", "trie", "quantized-trie", "array-trie", "quantized-array-trie")
FILES = [f"three.{kind}" for kind in TYPES] + ["two.quantized-array-trie", "three.no-words", "two.arpa", "three.arpa"]
FIXED = 88  # where order, multiplier, type and so on begin


@pytest.mark.parametrize("boundary", [True, False])
@pytest.mark.parametrize("file", FILES)
def test_scores_are_those_of_kenlm(goldens, expected, score_all, file, boundary):
    scores = score_all(open_language_model(goldens / file), boundary)
    assert scores == pytest.approx(expected[file]["sentence" if boundary else "plain"], abs=1e-5)


@pytest.mark.parametrize("kind", TYPES)
def test_words_are_those_of_the_arpa_file(goldens, kind):
    model = open_language_model(goldens / f"three.{kind}")
    arpa = open_language_model(goldens / "three.arpa")
    assert model.order == 3
    assert sorted(model.words) == sorted(arpa.words)
    assert all(word in model for word in arpa.words)
    for prefix in ("", "W", "WON", "WONDERFUL", "WONDERFULS", "w", "ZZ"):
        assert model.has_prefix(prefix) == arpa.has_prefix(prefix) == any(w.startswith(prefix) for w in arpa.words)


def test_states_are_equal_where_all_later_words_score_the_same(goldens):
    model = open_language_model(goldens / "three.trie")
    arpa = open_language_model(goldens / "three.arpa")
    for line in (goldens / "sentences.txt").read_text().splitlines():
        ours, theirs = model.begin(), arpa.begin()
        for word in line.split():
            ours, theirs = model.score(ours, word)[1], arpa.score(theirs, word)[1]
            assert len(ours) == len(theirs)


@pytest.mark.parametrize("file", ["three.arpa", "three.trie"])
def test_a_model_goes_to_other_processes_by_its_file(goldens, file, monkeypatch):
    monkeypatch.chdir(goldens)
    data = pickle.dumps(open_language_model(file))
    monkeypatch.chdir(goldens.parent)
    again = pickle.loads(data)  # noqa: S301
    assert again.score(again.begin(), "I") == open_language_model(goldens / file).score(again.begin(), "I")


def test_a_file_without_text_scores_but_lists_no_words(goldens):
    model = open_language_model(goldens / "three.no-words")
    assert model.words is None
    assert "WONDERFUL" in model
    with pytest.raises(LanguageModelError, match="does not hold its words as text: build it with its vocabulary"):
        model.has_prefix("W")


def test_hashes_are_those_of_the_file(goldens):
    data = (goldens / "three.trie").read_bytes()
    (count,) = struct.unpack_from("<Q", data, 136)
    words = [word for word in data[data.rindex(b"<unk>\0") :].split(b"\0")[:-1] if word != b"<unk>"]
    assert sorted(map(murmur, words)) == list(struct.unpack_from(f"<{count}Q", data, 144))
    assert {len(word) % 8 for word in words} == set(range(8))


@pytest.fixture
def altered(goldens, tmp_path):
    """A golden file with some of its bytes replaced, or cut to a length."""

    def write(file, offset=0, new=b"", length=None):
        data = bytearray((goldens / file).read_bytes())
        data[offset : offset + len(new)] = new
        (tmp_path / file).write_bytes(data[:length])
        return tmp_path / file

    return write


@pytest.mark.parametrize("length", [40, 90, 110, 2000, -1, -500])
@pytest.mark.parametrize("kind", TYPES)
def test_a_file_that_is_cut(altered, kind, length):
    with pytest.raises(LanguageModelError, match="cut short") as caught:
        open_language_model(altered(f"three.{kind}", length=length))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "new", "message"),
    [
        (50 - 1, b"4", "format version 4, this reads version 5: build it again from its ARPA file"),
        (34, b"incomplete\n", "was interrupted: build it again"),
        (60, struct.pack("<f", 2.0), "test values .* little-endian"),
        (FIXED, b"\x01", r"header of the KenLM file is cut short or damaged \(order 1\)"),
        (FIXED + 8, struct.pack("<I", 6), r"of model type 6; those that can be read are 0 \(probing\), 1 \(rest\)"),
        (FIXED + 16, struct.pack("<I", 3), "its search has version 3, this reads 1"),
        (FIXED + 20, struct.pack("<Q", 2**60), "header of the KenLM file is cut short or damaged"),
        (FIXED + 20, struct.pack("<Q", 20000), "cut short or damaged"),
        (FIXED + 20, struct.pack("<Q", 100), "where they should be"),
        (FIXED + 28, struct.pack("<Q", 400), "where they should be|cut short|damaged"),
        (144, b"\xff" * 8, "not in order"),
    ],
)
def test_a_trie_that_is_altered(altered, offset, new, message):
    with pytest.raises(LanguageModelError, match=message) as caught:
        open_language_model(altered("three.trie", offset, new))
    assert "\n" not in str(caught.value)
    assert "three.trie" in str(caught.value)


def test_bins_and_arrays_of_another_version(altered, goldens):
    words = struct.unpack_from("<Q", (goldens / "three.trie").read_bytes(), FIXED + 20)[0]
    bins = 136 + 8 + 8 * words
    with pytest.raises(LanguageModelError, match=r"bins .* version 1 \(this reads 2\)"):
        open_language_model(altered("three.quantized-trie", bins, b"\x01"))
    arrays = bins + (words + 2) * 16
    with pytest.raises(LanguageModelError, match=r"arrays .* version 7 \(this reads 0\)"):
        open_language_model(altered("three.array-trie", arrays, b"\x07"))


def test_words_that_are_not_at_the_end(altered, goldens):
    data = (goldens / "three.probing").read_bytes()
    at = data.rindex(b"<unk>\0")
    with pytest.raises(LanguageModelError, match="not where they should be"):
        open_language_model(altered("three.probing", at, b"#"))
