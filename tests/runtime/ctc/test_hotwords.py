"""Hotwords: phrases over letters, worked by hand, and what words that are not said must not do."""

import numpy as np
import pytest
from ctc_beam_cases import ARPA, LETTERS, case, words
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.ctc.fusion import Fusion
from edgespeech_runtime.ctc.hotwords import HotwordAutomaton, PhraseTrie, checked_hotwords
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.step import BeamOptions
from edgespeech_runtime.errors import ArgumentError


def boosts(phrases, text):
    """What counts after each character of a text: finished phrases and those in progress."""
    letters = sorted(set(text) - {" "})
    automaton = HotwordAutomaton(PhraseTrie(phrases), letters)
    state, finished, found = np.array([1]), 0.0, []
    for character in text:
        if character == " ":
            finished += float(automaton.gain[state][0])
            state = automaton.ended(state)
        else:
            automaton.prepare(state)
            state = automaton.reached(state, np.array([letters.index(character)]))
        found.append(round(finished + max(0.0, float(automaton.pending[state][0])), 6))
    return found


@pytest.mark.parametrize(
    ("phrases", "text", "expected"),
    [
        ({"ada": 6.0}, "ada b", [2, 4, 6, 6, 6]),
        ({"ada": 6.0}, "adb ", [2, 4, 0, 0]),
        ({"ada": 6.0}, "adab ", [2, 4, 6, 0, 0]),  # a longer word is another one
        ({"ada": 6.0}, "xada ", [0, 0, 0, 0, 0]),
        ({"ab cd": 8.0}, "ab cd e", [2, 4, 4, 6, 8, 8, 8]),  # spaces give nothing
        ({"ab cd": 8.0}, "ab ce ", [2, 4, 4, 6, 0, 0]),  # all of it is taken back
        ({"ab": 4.0, "ab cd": 12.0}, "ab ce ", [3, 6, 6, 9, 4, 4]),  # the shorter one was complete
        ({"ab": 4.0, "ab cd": 12.0}, "ab cd ", [3, 6, 6, 9, 12, 12]),
        ({"a b": 4.0, "b c": 4.0}, "a b c ", [2, 2, 4, 4, 4, 4]),  # of those that overlap, one counts
        ({"a": 1.0, "a b": 8.0}, "a a b ", [4, 4, 5, 5, 9, 9]),
    ],
)
def test_worked_examples(phrases, text, expected):
    assert boosts(phrases, text) == expected


def test_case_and_spaces_are_those_of_the_alphabet():
    alphabet = Alphabet((" ", "A", "B", ""))
    assert checked_hotwords(["ab  a", "B"], alphabet, 3.0) == {"AB A": 3.0, "B": 3.0}
    assert checked_hotwords({"ab": 1, "AB": 2}, alphabet) == {"AB": 2.0}


def test_letters_that_are_missing_are_named_in_the_case_of_the_alphabet():
    with pytest.raises(ArgumentError, match="'Ab1ü' has letters that the vocabulary lacks: '1', 'Ü'; spell it out"):
        checked_hotwords(["Ab1ü"], Alphabet((" ", "A", "B", "")))


@pytest.mark.parametrize("has_model", [False, True])
def test_words_that_are_not_said_change_no_text(has_model):
    alphabet, options = Alphabet(LETTERS), BeamOptions(prune_history=True, keep_unboosted=True)
    fusion = Fusion(open_language_model(ARPA)) if has_model else None
    plain, changed = BeamSearch(alphabet, fusion, None, options), 0
    for seed in range(0, 150, 3):
        logits = case(seed).logits
        if not len(logits):
            continue
        phrases = [f"{words()[seed % 40]} {words()[seed % 37]}", words()[(seed * 7) % 41], "tuber", "libra ore"]
        expected = plain.decode(logits, 1)[0].text
        found = BeamSearch(alphabet, fusion, checked_hotwords(phrases, alphabet), options).decode(logits, 1)[0].text
        if any(f" {phrase} " in f" {found} " for phrase in phrases):
            changed += 1
        else:
            assert found == expected, seed
    assert changed > 0  # or nothing was tried


def test_what_is_said_is_preferred():
    labels = (" ", "a", "b", "c", "")
    logits = np.full((4, 5), -9.0, np.float32)
    for frame, tokens in enumerate([(1,), (2, 3), (0,), (2,)]):
        logits[frame, list(tokens)] = np.linspace(0.0, 1.0, len(tokens))
    alphabet, options = Alphabet(labels), BeamOptions(keep_unboosted=True)
    assert BeamSearch(alphabet, None, None, options).decode(logits)[0].text == "ac b"
    found = BeamSearch(alphabet, None, {"ab b": 2.0}, options).decode(logits)[0]
    assert found.text == "ab b"
    assert found.score - found.logit_score == pytest.approx(2.0)


@pytest.mark.parametrize(("least", "text"), [(-9.0, "aca"), (-5.0, "aba"), (-6.0, "aba")])
def test_letters_that_go_on_with_a_hotword_are_tried_though_they_are_unlikely(least, text):
    alphabet = Alphabet((" ", "a", "b", "c", ""))
    logits = np.full((3, 5), -20.0)
    logits[[0, 2], 1], logits[1, 2], logits[1, 3] = 0.0, 0.0, -7.0
    options = BeamOptions(keep_unboosted=True, hotword_min_logp=least)
    assert BeamSearch(alphabet, None, {"aca": 10.0}, options).decode(logits)[0].text == text
    assert BeamSearch(alphabet, None, {"aca": 10.0}, BeamOptions()).decode(logits)[0].text == "aba"  # as pyctcdecode
    assert BeamSearch(alphabet, None, {"cba": 10.0}, options).decode(logits)[0].text == "aba"  # its first letter is not


@pytest.mark.parametrize("keep_unboosted", [False, True])
def test_any_split_gives_the_same_with_a_language_model_and_hotwords(keep_unboosted):
    alphabet, fusion = Alphabet(LETTERS), Fusion(open_language_model(ARPA))
    phrases = checked_hotwords([f"{words()[2]} {words()[5]}", words()[3], words()[7]], alphabet)
    options = BeamOptions(beam_width=30, prune_history=True, keep_unboosted=keep_unboosted)
    search = BeamSearch(alphabet, fusion, phrases, options)
    logits = np.concatenate([case(seed).logits for seed in (1, 3, 7)])
    expected = search.decode(logits)
    for size in (1, 5, 64):
        state = search.start()
        for first in range(0, len(logits), size):
            state = search.advance(state, logits[first : first + size])
        assert search.finish(state) == expected
