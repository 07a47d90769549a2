"""Building n-gram models: an example worked by hand, and the models that KenLM's lmplz built of the same text."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.ngrams.arpa import read_arpa

from edgespeech.errors import InputError
from edgespeech.ngrams.build import BuildOptions, build
from edgespeech.ngrams.compact import write_compact
from edgespeech.ngrams.discounts import Statistics, discount, parse_fallback
from edgespeech.ngrams.text import tables, write_built

GOLDENS = Path(__file__).parents[2] / "goldens" / "ngrams"
SENTENCES = GOLDENS / "sentences.txt"


@pytest.fixture
def built(tmp_path):
    """Build a model of a text, or of a file, in a folder of its own."""

    def run(text, **options):
        path = text
        if isinstance(text, str):
            path = tmp_path / "text.txt"
            path.write_text(text)
        folder = tmp_path / f"parts{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return build(path, folder, BuildOptions(**options))

    return run


def ngrams(model):
    """Probability and back-off of each n-gram, by its words."""
    return {
        tuple(model.words[i].decode() for i in ids): values
        for order, found in enumerate(model.orders, start=1)
        for ids, *values in zip(
            found.ids.tolist(),
            found.probabilities.tolist(),
            [0.0] * len(found.ids) if found.backoffs is None else found.backoffs.tolist(),
            strict=True,
        )
    }


@pytest.mark.parametrize("memory", [2**30, 2**24])
@pytest.mark.parametrize(
    ("golden", "options"),
    [("two", {"order": 2}), ("three", {"order": 3}), ("pruned", {"order": 3, "prune": (0, 0, 1)})],
)
def test_models_are_those_of_lmplz(built, golden, options, memory, monkeypatch):
    if memory < 2**30:
        monkeypatch.setattr("edgespeech.ngrams.build.ROWS", 100_000)  # so that the short text makes several partitions
    found = built(SENTENCES, memory=memory, **options)
    assert (found.partitions > 1) == (memory < 2**30)
    ours, theirs = ngrams(tables(found)), ngrams(read_arpa(GOLDENS / f"{golden}.arpa"))
    assert ours.keys() == theirs.keys()
    for words, values in theirs.items():
        assert ours[words] == pytest.approx(values, abs=2e-6), words


def test_a_bigram_model_worked_by_hand(built):
    """`a b`, `a b`, `a c`.

    Bigrams: <s> a 3, a b 2, a c 1, b </s> 2, c </s> 1. Two count 1, two 2, one 3: Y = 2 / (2 + 2 * 2) = 1/3,
    D1 = 1 - 2/3 * 2/2 = 1/3, D2 = 2 - 3/3 * 1/2 = 3/2, D3 = 3 - 4/3 * 0 = 3. So a, b and c follow one word each, </s>
    two: adjusted counts 1, 1, 1, 2, of 5. None counts 3, so that the discounts of unigrams are those given: they take
    0.5 + 0.5 + 0.5 + 1 = 2.5 of 5, shared by five words, <unk>, </s>, a, b, c: 0.1 each.
    """
    found = built("a b\na b\na c\n", order=2, fallback=(0.5, 1.0, 1.5))
    assert found.discounts[0] == (0.5, 1.0, 1.5)
    assert found.discounts[1] == pytest.approx((1 / 3, 3 / 2, 3))
    model = {words: [10**value for value in values] for words, values in ngrams(tables(found)).items()}
    once, twice, after_a = 0.5 / 5 + 0.1, 1 / 5 + 0.1, (3 / 2 + 1 / 3) / 3
    expected = {
        ("<unk>",): (0.1, 1),
        ("<s>",): (1, 3 / 3),
        ("</s>",): (twice, 1),
        ("a",): (once, after_a),
        ("b",): (once, 1.5 / 2),
        ("c",): (once, 1 / 3),
        ("<s>", "a"): (0 + 1 * once, 1),
        ("a", "b"): ((2 - 3 / 2) / 3 + after_a * once, 1),
        ("a", "c"): ((1 - 1 / 3) / 3 + after_a * once, 1),
        ("b", "</s>"): ((2 - 3 / 2) / 2 + 0.75 * twice, 1),
        ("c", "</s>"): (1 - 1 / 3 + twice / 3, 1),
    }
    assert model.keys() == expected.keys()
    for words, values in expected.items():
        assert model[words] == pytest.approx(values, rel=1e-5), words


@pytest.mark.parametrize("options", [{}, {"prune": (0, 0, 1)}, {"prune": (1,)}, {"allowed": frozenset([b"I", b"YOU"])}])
def test_the_words_after_any_context_sum_to_one(built, tmp_path, options):
    write_compact(tables(built(SENTENCES, **options)), tmp_path / "lm")
    model = open_language_model(tmp_path / "lm")
    words = [*model.words, "</s>", "<unk>"]
    states = [model.begin(), ()]
    for word in "I", "YOU", "ARE":
        states += [model.score(state, word)[1] for state in states]
    for state in dict.fromkeys(states):
        assert sum(10 ** model.score(state, word)[0] for word in words) == pytest.approx(1, abs=1e-4)


def test_discounts_follow_chen_and_goodman():
    """Y = 10 / (10 + 2 * 4); D1 = 1 - 2 Y 4 / 10, D2 = 2 - 3 Y 2 / 4, D3 = 3 - 4 Y 1 / 2."""
    y = 10 / 18
    found = discount(Statistics(np.array([0, 10, 4, 2, 1])), 3, None)
    assert found == pytest.approx((1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.5), abs=1e-6)


def test_text_and_files(built, tmp_path):
    """Compressed, without a last line end, with carriage returns and empty lines: the same words."""
    plain = tables(built(SENTENCES))
    text = SENTENCES.read_text()
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.rstrip("\n").replace("\n", "\r\n").encode()))
    assert ngrams(tables(built(tmp_path / "text.gz"))) == ngrams(plain)
    write_built(built(SENTENCES), tmp_path / "lm.arpa.gz")
    again = ngrams(read_arpa(tmp_path / "lm.arpa.gz"))
    assert again == ngrams(plain)


def test_unknown_words_may_get_all_that_is_left(built):
    found = ngrams(tables(built(SENTENCES, interpolate_unigrams=False)))
    words = [values[0] for words, values in found.items() if len(words) == 1 and words != ("<s>",)]
    assert math.log10(sum(10**value for value in words)) == pytest.approx(0, abs=1e-5)
    assert max(words) == found[("<unk>",)][0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "has no words"),
        ("\n \n", {}, "has no words"),
        ("a b c\n", {}, "discounts of 1-grams cannot be estimated, none of them counts 2: the text is too short"),
        ("a b\nc <s> d\n", {}, "line 2: <s> stands for a sentence's boundary"),
        ("a", {"order": 0}, "order: expected 1 to 6, got 0"),
        ("a", {"order": 7}, "order: expected 1 to 6, got 7"),
        ("a", {"prune": (1, 0)}, "expected numbers of at least 0 that do not fall, such as 0,0,1, got 1,0"),
        ("a", {"prune": (0, 0, 0, 1)}, "expected at most 3 numbers, one for each order, got 4"),
        ("a", {"memory": 1000}, "memory: expected at least 16M"),
    ],
)
def test_what_is_refused(built, text, options, message):
    with pytest.raises(InputError, match=message):
        built(text, **options)


def test_text_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "latin.txt").write_bytes("caf\u00e9 cr\u00e8me\n".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8 text"):
        build(tmp_path / "latin.txt", tmp_path, BuildOptions())


@pytest.mark.parametrize("text", ["", "x", "1,2,3,4", "2", "-1", "0.5,1,4"])
def test_fallback_discounts_that_are_none(text):
    with pytest.raises(InputError, match="expected up to three numbers"):
        parse_fallback(text)
    assert parse_fallback("0.5 1") == (0.5, 1.0, 1.0)
