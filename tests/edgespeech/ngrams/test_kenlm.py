"""KenLM files that list their n-grams, against the ARPA file that they were built from, and those that do not."""

from pathlib import Path

import numpy as np
import pytest
from edgespeech_runtime.ctc.language_model import open_language_model

from edgespeech.errors import InputError
from edgespeech.ngrams.files import convert, read_tables

GOLDENS = Path(__file__).parents[2] / "goldens" / "ngrams"


def ngrams(tables):
    """Probability and back-off weight of each n-gram, by its words."""
    return {
        tuple(tables.words[word] for word in ids): (probability, backoff)
        for order in tables.orders
        for ids, probability, backoff in zip(
            order.ids.tolist(),
            order.probabilities.tolist(),
            (np.zeros(len(order.ids)) if order.backoffs is None else order.backoffs).tolist(),
            strict=True,
        )
    }


@pytest.mark.parametrize("name", ["three.trie", "three.array-trie"])
def test_tries_give_the_n_grams_of_their_arpa_file(name):
    found, expected = ngrams(read_tables(GOLDENS / name)), ngrams(read_tables(GOLDENS / "three.arpa"))
    assert found.keys() >= expected.keys()
    for words, values in expected.items():
        assert found[words] == pytest.approx(values, abs=1e-7), words


@pytest.mark.parametrize(
    "name",
    [
        "three.trie",
        "three.array-trie",
        "three.quantized-trie",
        "three.quantized-array-trie",
        "two.quantized-array-trie",
    ],
)
@pytest.mark.parametrize("target", ["model.lm", "model.arpa"])
def test_converted_files_score_like_the_tries(tmp_path, name, target):
    convert(read_tables(GOLDENS / name), tmp_path / target, quantize=False)
    converted, original = open_language_model(tmp_path / target), open_language_model(GOLDENS / name)
    assert sorted(converted.words) == sorted(original.words)
    for line in (GOLDENS / "queries.txt").read_text(encoding="utf-8").splitlines()[:200]:
        one, other = converted.begin(), original.begin()
        for word in line.split():
            score, one = converted.score(one, word)
            expected, other = original.score(other, word)
            assert score == pytest.approx(expected, abs=1e-6)
        assert converted.end(one) == pytest.approx(original.end(other), abs=1e-6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("three.probing", "type probing: it holds hashes of n-grams, not their words"),
        ("three.rest", "type rest: it holds hashes"),
        ("three.no-words", "does not hold the text of its words"),
    ],
)
def test_files_that_cannot_be_converted_say_why(name, message):
    with pytest.raises(InputError, match=message):
        read_tables(GOLDENS / name)
