"""Beam search against all paths of small problems, worked examples, and a published utterance with its text."""

import copy
import itertools
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from ctc_beam_cases import LETTERS, case
from edgespeech_runtime.ctc.alphabet import Alphabet, TokenTable, word_hash
from edgespeech_runtime.ctc.beam_search import BeamSearch, BeamState
from edgespeech_runtime.ctc.greedy import Span, collapse
from edgespeech_runtime.ctc.step import BeamOptions
from edgespeech_runtime.errors import ArgumentError

GOLDEN = Path(__file__).parents[4] / "shared" / "golden" / "ctc_logits" / "libri_logits.json"
EXHAUSTIVE = BeamOptions(beam_width=10_000, beam_prune_logp=-1000.0, token_min_logp=-1000.0)


def all_texts(logits, labels):
    """Log probability of each text, the sum over all paths."""
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    blank, sums = labels.index(""), {}
    for path in itertools.product(range(len(labels)), repeat=len(logits)):
        text = "".join(labels[span.token_id] for span in collapse(path, blank))
        text = " ".join(text.split())
        sums.setdefault(text, []).append(sum(logp[frame, token] for frame, token in enumerate(path)))
    return {text: np.logaddexp.reduce(scores) for text, scores in sums.items()}


@pytest.mark.parametrize("seed", range(4))
def test_without_pruning_every_text_has_the_probability_of_all_its_paths(seed):
    labels = ("a", " ", "", "b") if seed % 2 else ("", "ab", "a", "b", " ")  # two ways to spell "ab"
    logits = np.random.default_rng(seed).standard_normal((5, len(labels)))
    found = BeamSearch(Alphabet(labels), options=EXHAUSTIVE).decode(logits)
    expected = all_texts(logits, labels)
    assert {hypothesis.text for hypothesis in found} == set(expected)
    for hypothesis in found:
        assert hypothesis.logit_score == pytest.approx(expected[hypothesis.text], abs=1e-9)
        assert hypothesis.score == hypothesis.logit_score
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_the_published_utterance():
    if not GOLDEN.exists():
        pytest.skip(f"needs {GOLDEN.name}")
    logits = np.array(json.loads(GOLDEN.read_text()), np.float32)
    best = BeamSearch(Alphabet((" ", *"abcdefghijklmnopqrstuvwxyz'", ""))).decode(logits)[0]
    assert best.text == (
        "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve"
    )
    assert [word.start_frame for word in best.words] == sorted(word.start_frame for word in best.words)


def frames_of(text, labels):
    """Logits that say one label a frame: "_" is the blank."""
    logits = np.full((len(text), len(labels)), -20.0, np.float32)
    for frame, letter in enumerate(text):
        logits[frame, labels.index("" if letter == "_" else letter)] = 0.0
    return logits


def test_words_and_tokens_have_the_frames_of_the_best_path():
    labels = (" ", "a", "b", "")
    (best,) = BeamSearch(Alphabet(labels)).decode(frames_of("_aa_ab__  _b_", labels))
    assert best.text == "aab b"
    assert [(w.text, w.start_frame, w.end_frame) for w in best.words] == [("aab", 1, 6), ("b", 11, 12)]
    assert best.words[0].tokens == (Span(1, 1, 3), Span(1, 4, 5), Span(2, 5, 6))
    assert all(0.999 < word.confidence <= 1 for word in best.words)


def test_confidence_is_the_mean_probability_over_the_frames_of_the_tokens():
    labels = ("", "a", "b")
    rows = [[0.196, 0.8, 0.004], [0.396, 0.6, 0.004], [0.992, 0.004, 0.004], [0.296, 0.004, 0.7]]
    best = BeamSearch(Alphabet(labels), options=BeamOptions(beam_width=1)).decode(np.log(rows))[0]
    assert best.text == "ab"
    assert best.words[0].confidence == pytest.approx((0.8 + 0.6 + 0.7) / 3)
    assert best.words[0].confidences == pytest.approx((0.7, 0.7))


def test_word_pieces_begin_words_and_end_them():
    labels = ("", "▁he", "▁hel", "lo", "llo", "▁w", "▁⁇▁")
    search = BeamSearch(Alphabet(labels, is_bpe=True))
    logits = np.full((7, len(labels)), -20.0)
    for frame, token in enumerate([1, 0, 4, 5, 6, 0, 2]):
        logits[frame, token] = 0.0
    best = search.decode(logits)[0]
    assert best.text == "hello w ⁇ hel"
    assert [(w.start_frame, w.end_frame) for w in best.words] == [(0, 3), (3, 4), (4, 5), (6, 7)]


def test_pieces_that_spell_the_same_word_are_one_text():
    labels = ("", "▁he", "▁hel", "lo", "llo")
    logits = np.full((2, len(labels)), -20.0)
    logits[0, [1, 2]], logits[1, [3, 4]] = 0.0, 0.0
    found = BeamSearch(Alphabet(labels, is_bpe=True)).decode(logits)
    expected = {"hello": 0.5, "helo": 0.25, "helllo": 0.25}
    assert {hypothesis.text: pytest.approx(np.exp(hypothesis.logit_score)) for hypothesis in found} == expected


def test_of_equal_texts_the_lower_token_id_comes_first():
    labels = ("b", "a", "", "c")
    found = BeamSearch(Alphabet(labels)).decode(np.zeros((1, 4), np.float32))
    assert [h.text for h in found] == ["b", "a", "", "c"]


def flat(value):
    """All that is in a state, its arrays as their bytes."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, BeamState):
        return [flat(getattr(value, field.name)) for field in fields(value)]
    return [flat(part) for part in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("seed", [1, 2, 5, 8, 13, 21])
def test_any_split_of_the_frames_gives_the_same_bytes(seed):
    made = case(seed)
    search = BeamSearch(Alphabet(made.labels, "▁ba" in made.labels), options=BeamOptions(**made.options))
    whole = search.advance(search.start(), made.logits)
    rng = np.random.default_rng(seed)
    for pieces in ([1] * len(made.logits), [0, 3, 0, 7, len(made.logits)], rng.integers(1, 9, 40).tolist()):
        state, at = search.start(), 0
        for size in pieces:
            state = copy.deepcopy(search.advance(state, made.logits[at : at + size]))
            at += size
        assert state.frames == len(made.logits)
        assert flat(state) == flat(whole)
        assert search.finish(state) == search.finish(whole)


def test_a_state_is_a_value():
    made = case(4)
    search = BeamSearch(Alphabet(LETTERS))
    state = search.advance(search.start(), made.logits[:10])
    before = flat(state)
    first = search.finish(search.advance(state, made.logits[10:]))
    search.finish(state)
    search.best(state)
    assert flat(state) == before
    assert search.finish(search.advance(state, made.logits[10:])) == first


def test_what_is_certain_stays():
    labels = (" ", "a", "b", "c", "")
    logits = 8.0 + frames_of("_a_bb c_ ab_c ", labels) / 2 + np.random.default_rng(0).standard_normal((14, 5))
    search, table = BeamSearch(Alphabet(labels)), TokenTable(Alphabet(labels))
    state, seen = search.start(), []
    for frame in range(len(logits)):
        state = search.advance(state, logits[frame : frame + 1])
        tokens = state.certain.numbers[0].tolist()
        assert tokens[: len(seen)] == seen
        seen = tokens
        assert search.best(state).text.replace(" ", "").startswith("".join(table.texts[token] for token in seen))
    assert len(seen) >= 3


def test_long_silence_costs_nothing_and_changes_nothing():
    labels = (" ", "a", "b", "")
    logits = frames_of("_ab_" + "_" * 3000 + "_ b", labels)
    search = BeamSearch(Alphabet(labels))
    (best,) = search.decode(logits)
    assert [(w.text, w.start_frame, w.end_frame) for w in best.words] == [("ab", 1, 3), ("b", 3006, 3007)]


def test_no_frames_are_the_empty_text():
    (best,) = BeamSearch(Alphabet(LETTERS)).decode(np.zeros((0, len(LETTERS)), np.float32))
    assert (best.text, best.words, best.logit_score) == ("", (), 0.0)


def test_excluded_tokens_are_never_taken():
    labels = ("<s>", "a", "")
    search = BeamSearch(Alphabet(labels, excluded=frozenset((0,))))
    found = search.decode(np.array([[9.0, 1.0, 0.0], [9.0, 0.0, 1.0]], np.float32))
    assert found[0].text == "a"
    assert all("<s>" not in hypothesis.text for hypothesis in found)


def test_hashes_are_those_of_the_text_however_it_is_spelled():
    assert word_hash("") == 0
    table = TokenTable(Alphabet(("", "ab", "c", "bc")))
    joined = [int(table.terms[i]) * int(table.factors[j]) + int(table.terms[j]) for i, j in ((1, 2),)]
    assert (joined[0] - word_hash("abc")) % 2**64 == 0


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((3, 2)), r"expected \[frames, 4\], a column for each token, got \[3, 2\]"),
        (np.zeros(4), r"got \[4\]"),
        (np.full((2, 4), np.nan), "got NaN"),
        (np.full((2, 4), np.inf), "or infinity"),
    ],
)
def test_bad_logits_are_refused(logits, message):
    with pytest.raises(ArgumentError, match=message):
        BeamSearch(Alphabet((" ", "a", "b", ""))).decode(logits)


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "", "")])
def test_an_alphabet_has_one_blank(labels):
    with pytest.raises(ArgumentError, match="expected one blank"):
        Alphabet(labels)
