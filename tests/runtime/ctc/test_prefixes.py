"""Beginnings of words: the tree and the walk over it, against the words themselves."""

import numpy as np
import pytest
from ctc_beam_cases import ARPA, LETTERS, case, words
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.fusion import Fusion, FusionWeights
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.ngrams import prefix_tree
from edgespeech_runtime.ctc.ngrams.prefix_tree import PrefixTree
from edgespeech_runtime.ctc.prefixes import LetterPrefixes, PrefixAutomaton, prefixes_of
from edgespeech_runtime.ctc.step import BeamOptions


def codes(texts):
    width = max(map(len, texts))
    return np.array([[ord(character) for character in text.ljust(width, "\0")] for text in texts], np.int64)


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_the_tree_has_all_beginnings_and_no_others(monkeypatch, block):
    monkeypatch.setattr(prefix_tree, "BLOCK", block)
    known = ["b", "ba", "abc", "abd", "ab", "äö", "日本", "a" * 40, "zz", ""]
    tree = PrefixTree(known)
    beginnings = {word[:length] for word in known for length in range(len(word) + 1)}
    assert {tree.text(node) for node in range(len(tree.lengths))} == beginnings
    assert len(tree.lengths) == len(beginnings)
    tried = [*beginnings - {""}, "x", "abx", "bab", "aba", "aa" * 21]
    reached = tree.walk(np.zeros(len(tried), np.int64), codes(tried)).tolist()
    assert [node >= 0 for node in reached] == [text in beginnings for text in tried]
    for text, node in zip(tried, reached, strict=True):
        if node >= 0:
            assert (tree.text(node), tree.lengths[node], tree.is_word[node]) == (text, len(text), text in known)


def test_without_words_nothing_begins():
    tree = PrefixTree(())
    assert tree.walk(np.zeros(2, np.int64), codes(["a", "b"])).tolist() == [-1, -1]


@pytest.mark.parametrize("texts", [("b", "x", "ki"), ("b", "x", "k")])
def test_a_word_costs_nothing_while_a_known_one_begins_so_and_then_by_its_length(texts):
    fusion = Fusion(open_language_model(ARPA))
    prefixes = prefixes_of(fusion, texts, "".join(sorted({*"".join(texts)})))
    assert isinstance(prefixes, PrefixAutomaton if "ki" in texts else LetterPrefixes)
    written, text = np.zeros(1, np.int64), ""
    for column in [2, *[1] * 300, 2]:
        (cost,) = prefixes.costs(written, np.array([column]))
        text += texts[column]
        is_known = any(word.startswith(text) for word in words())
        assert cost == pytest.approx(0.0 if is_known else -10 * max(1, len(text) / 6))
        written = prefixes.reached(written, np.array([column]))
    assert written[0] == -len(text)


def test_letters_that_words_go_on_with_are_those_of_the_tree():
    fusion = Fusion(open_language_model(ARPA))
    tree, letters = fusion.prefixes, [*"abeiklnortu'", ""]
    prefixes = prefixes_of(fusion, letters, "".join(letters))
    nodes = np.arange(len(tree.lengths))
    costs = prefixes.costs(nodes, np.arange(len(letters))[:, None])
    for column, letter in enumerate(letters):
        reached = tree.walk(nodes, np.full((len(nodes), 1), ord(letter) if letter else 0))
        assert ((costs[column] == 0) == (reached >= 0)).all(), letter
        assert (prefixes.reached(nodes, np.full(len(nodes), column))[reached >= 0] == reached[reached >= 0]).all()


@pytest.mark.parametrize(
    ("alpha", "unknown_offset"), [(0.5, -10.0), (-0.7, -10.0), (0.5, 3.0), (2.0, 0.0), (0.0, -1.0)]
)
def test_words_that_are_not_scored_at_once_change_nothing(monkeypatch, alpha, unknown_offset):
    fusion = Fusion(open_language_model(ARPA), FusionWeights(alpha, 1.5, unknown_offset))
    search = BeamSearch(Alphabet(LETTERS), fusion, None, BeamOptions(beam_width=20))
    logits = [case(seed).logits for seed in (1, 3, 4, 6, 7, 9)]
    found = [search.decode(each) for each in logits]
    monkeypatch.setattr(Fusion, "at_best", lambda self, prefixes: np.full(prefixes.shape, 1e6))  # score all at once
    assert [search.decode(each) for each in logits] == found
