"""ARPA files: scores worked by hand, and what is refused."""

import gzip

import pytest
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.errors import LanguageModelError, LanguageModelMissingError

# `the sea` has no extension and no back-off, `saw the` extends; `cat` stands in no longer n-gram.
ARPA = """\\data\\
ngram 1=7
ngram 2=5
ngram 3=2

\\1-grams:
-2.0\t<unk>
-99\t<s>\t-0.5
-1.0\t</s>
-0.9\tsaw\t-0.3
-0.7\tthe\t-0.25
-1.5\tsea\t-0.125
-1.25\tcat

\\2-grams:
-0.4\t<s> saw\t-0.0625
-0.2\tsaw the\t-0.75
-0.6\tthe sea
-0.3\tsea </s>
-0.8\tthe saw\t-0.03125

\\3-grams:
-0.1\t<s> saw the
-0.05\tsaw the sea

\\end\\
"""


@pytest.fixture
def arpa(tmp_path):
    """Write a text as an ARPA file and give its path."""

    def write(text=ARPA, name="lm.arpa"):
        path = tmp_path / name
        path.write_bytes(text.encode())
        return path

    return write


def scores(model, words, boundary=True):
    """Score of each word after those before it, and of the end."""
    state, found = model.begin(boundary), []
    for word in words:
        score, state = model.score(state, word)
        found.append(score)
    return [*found, model.end(state)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # <s> saw; <s> saw the; saw the sea; then `the sea` has no weight: sea </s>
        ("saw the sea", [-0.4, -0.1, -0.05, -0.3]),
        # `<s> the` is not there: back-off of <s>; `the cat`: of the; cat has none
        ("the cat", [-0.5 - 0.7, -0.25 - 1.25, -1.0]),
        # `saw the saw` is not there: back-off of `saw the`, then `the saw`
        ("saw the saw", [-0.4, -0.1, -0.75 - 0.8, -0.03125 - 0.3 - 1.0]),
        # unknown words: the back-offs of all contexts and <unk>; after one nothing is known
        ("saw ship the", [-0.4, -0.0625 - 0.3 - 2.0, -0.7, -0.25 - 1.0]),
        ("", [-0.5 - 1.0]),
    ],
)
def test_scores_by_hand(arpa, words, expected):
    assert scores(open_language_model(arpa()), words.split()) == pytest.approx(expected, abs=1e-6)


def test_without_a_boundary_a_sentence_begins_anywhere(arpa):
    model = open_language_model(arpa())
    assert model.begin(boundary=False) == ()
    assert scores(model, ["saw", "the"], boundary=False) == pytest.approx([-0.9, -0.2, -0.75 - 0.25 - 1.0], abs=1e-6)


def test_a_state_keeps_only_what_later_words_depend_on(arpa):
    model = open_language_model(arpa())
    _, after_saw = model.score(model.begin(), "saw")
    _, after_the = model.score(after_saw, "the")
    _, after_sea = model.score(after_the, "sea")
    assert [len(state) for state in (after_saw, after_the, after_sea)] == [2, 2, 1]
    assert model.score(after_sea, "cat")[1] == () == model.score((), "ship")[1]
    assert model.score((), "sea")[1] == after_sea  # equal states of different histories are equal
    assert hash(after_the) == hash(tuple(after_the))


def test_vocabulary(arpa):
    model = open_language_model(arpa())
    assert model.order == 3
    assert sorted(model.words) == ["cat", "saw", "sea", "the"]
    assert ["sea" in model, "ship" in model, "<unk>" in model, "" in model] == [True, False, False, False]
    assert [model.has_prefix(p) for p in ("", "s", "se", "sea", "seas", "x", "~")] == [True] * 4 + [False] * 3


def test_score_many_is_score_of_each(arpa):
    model = open_language_model(arpa())
    pairs = [(state, word) for state in (model.begin(), ()) for word in ("saw", "the", "ship")]
    assert model.score_many(pairs) == [model.score(*pair) for pair in pairs]


def test_compressed_and_other_line_ends_are_the_same(arpa, tmp_path):
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(ARPA.encode()))
    expected = scores(open_language_model(arpa()), ["saw", "the", "cat"])
    preamble = arpa("# made by hand\n\n" + ARPA.replace("\n", "\r\n"), "other.arpa")
    for path in (tmp_path / "lm.arpa.gz", preamble):
        assert scores(open_language_model(path), ["saw", "the", "cat"]) == expected


def test_a_model_without_unk_gives_unknown_words_a_hundred(arpa):
    model = open_language_model(arpa(ARPA.replace("-2.0\t<unk>\n", "").replace("1=7", "1=6")))
    assert model.score((), "ship") == (-100.0, ())
    capital = open_language_model(arpa(ARPA.replace("<unk>", "<UNK>")))
    assert capital.score((), "ship")[0] == -2.0


def test_an_ngram_whose_last_words_are_missing_is_scored(arpa):
    """SRILM prunes so: `saw the sea` is there, `the sea` is not."""
    text = ARPA.replace("-0.6\tthe sea\n", "").replace("2=5", "2=4")
    model = open_language_model(arpa(text))
    assert scores(model, ["saw", "the", "sea"]) == pytest.approx([-0.4, -0.1, -0.05, -0.3], abs=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=5", "ngram 2=6", r"\\data\\ says 6 n-grams of order 2, the section has 5"),
        ("ngram 2=5", "ngram 2=4", r"line 20: expected \\3-grams: after 4 n-grams, got '-0.8"),
        ("ngram 3=2", "ngram 3=1", r"expected \\end\\ after 1 n-grams"),
        ("ngram 2=5", "ngram 4=5", r"line 3: expected ngram 2=COUNT, got 'ngram 4=5'"),
        ("ngram 2=5", "ngram 2=many", r"line 3: expected ngram 2=COUNT"),
        ("\\3-grams:", "\\4-grams:", r"expected \\3-grams: after 5 n-grams"),
        ("-0.9\tsaw", "0.9\tsaw", r"line 10: expected a log10 probability of at most 0, got '0.9'"),
        ("-0.9\tsaw", "nan\tsaw", r"line 10: expected a log10 probability of at most 0, got 'nan'"),
        ("-0.3\n", "x\n", r"line 10: expected a back-off weight, got 'x'"),
        ("the sea\n", "sea\n", r"line 18: expected a probability, 2 words and perhaps a back-off weight"),
        ("the sea\n", "the see\n", r"line 18: expected words that are among the unigrams, got 'see'"),
        ("\tcat", "\tsea", r"line 13: expected each unigram once, got 'sea'"),
        ("the sea\n", "saw the\n", r"the n-gram 'saw the' is there twice"),
        ("-0.2\tsaw the\t", "-0.2\tsaw sea\t", r"'saw the sea' is there, but not that of its first 2 words"),
        ("<s> saw the\n", "<s> saw the -0.5\n", r"highest order, 3, have no back-off weight, but one has -0.5"),
        ("</s>", "cats", r"has no </s>: build it from whole sentences"),
        ("\\data\\\n", "", r"has no line \\data\\"),
        ("\\end\\", "", r"before \\end\\: it is cut short"),
        ("\\end\\\n", "\\end\\\nmore\n", r"expected nothing after \\end\\, got 'more'"),
    ],
)
def test_what_is_refused(arpa, old, new, message):
    assert old in ARPA
    path = arpa(ARPA.replace(old, new))
    with pytest.raises(LanguageModelError, match=message) as caught:
        open_language_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_are_not_there_or_cut(tmp_path):
    with pytest.raises(LanguageModelMissingError, match="no such language model"):
        open_language_model(tmp_path / "none.arpa")
    with pytest.raises(LanguageModelError, match="is a folder"):
        open_language_model(tmp_path)
    cut = tmp_path / "cut.arpa.gz"
    cut.write_bytes(gzip.compress(ARPA.encode())[:-20])
    with pytest.raises(LanguageModelError, match="cannot be uncompressed"):
        open_language_model(cut)
    (tmp_path / "empty.arpa").write_bytes(b"")
    with pytest.raises(LanguageModelError, match="no line"):
        open_language_model(tmp_path / "empty.arpa")
