"""CTC decoding against itertools, hand-worked frames, and published logits with their published text."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from edgespeech_runtime.ctc import greedy as ctc
from edgespeech_runtime.ctc.greedy import Span

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "ctc_logits" / "libri_logits.json"


def test_greedy_takes_the_largest_and_of_equals_the_first():
    ids = ctc.greedy(np.array([[0.0, 2.0, 1.0], [3.0, 3.0, 0.0]], np.float32))
    assert ids.tolist() == [1, 0]
    assert ids.dtype == np.int64


@pytest.mark.parametrize(
    ("ids", "spans"),
    [
        ([], []),
        ([0, 0, 0], []),
        ([5], [Span(5, 0, 1)]),
        ([5, 5, 0, 5], [Span(5, 0, 2), Span(5, 3, 4)]),
        ([0, 5, 6, 6, 0, 0, 7], [Span(5, 1, 2), Span(6, 2, 4), Span(7, 6, 7)]),
    ],
)
def test_collapse_worked_examples(ids, spans):
    assert ctc.collapse(ids, blank=0) == spans


def test_collapse_equals_groupby_on_random_frames():
    ids = np.random.default_rng(0).integers(0, 4, 2000)
    expected, frame = [], 0
    for token_id, run in itertools.groupby(ids.tolist()):
        length = len(list(run))
        if token_id != 2:
            expected.append(Span(token_id, frame, frame + length))
        frame += length
    assert ctc.collapse(ids, blank=2) == expected


def test_collapse_without_grouping_keeps_every_frame():
    assert ctc.collapse([5, 5, 0, 5], blank=0, group=False) == [Span(5, 0, 1), Span(5, 1, 2), Span(5, 3, 4)]


def test_skipped_tokens_go_before_repeats_merge_and_the_blank_stays():
    assert ctc.collapse([3, 5, 3, 5, 0, 5, 3], blank=0, skip=[0, 3]) == [Span(5, 1, 4), Span(5, 5, 6)]
    assert ctc.collapse([3, 3], blank=0, skip=(3,)) == []


def test_emitted_probability_is_the_softmax_of_the_token():
    logits = np.array([[0.0, np.log(3.0)], [1000.0, 0.0]], np.float32)
    np.testing.assert_allclose(ctc.emitted_probability(logits, [1, 0]), [0.75, 1.0], rtol=1e-6)
    np.testing.assert_allclose(ctc.emitted_probability(logits, [0, 1]), [0.25, 0.0], rtol=1e-6)


def test_confidence_is_the_mean_over_the_frames_that_emit_the_tokens():
    ids = [5, 5, 0, 6, 3, 6]
    spans = [Span(5, 0, 2), Span(6, 3, 6)]  # the second runs across a skipped token
    probability = np.array([0.5, 0.7, 0.1, 0.9, 0.2, 0.3])
    assert ctc.confidence(probability, ids, spans) == pytest.approx((0.5 + 0.7 + 0.9 + 0.3) / 4)
    assert ctc.confidence(probability, ids, []) == 0.0


def test_split_words_at_delimiters_and_never_empty():
    a, bar, b = Span(5, 0, 1), Span(4, 1, 2), Span(6, 2, 3)
    assert ctc.split_words([bar, a, a, bar, bar, b, bar], delimiter=4) == [[a, a], [b]]
    assert ctc.split_words([bar], delimiter=4) == []


def test_without_a_delimiter_each_token_is_a_word():
    a, b = Span(5, 0, 1), Span(6, 2, 3)
    assert ctc.split_words([a, b], delimiter=None) == [[a], [b]]


@pytest.mark.skipif(not GOLDEN.exists(), reason="needs ../shared/golden beside the checkout")
def test_published_logits_give_the_published_text():
    logits = np.array(json.loads(GOLDEN.read_text()), np.float32)
    assert logits.shape == (371, 29)
    labels = " abcdefghijklmnopqrstuvwxyz'"
    spans = ctc.collapse(ctc.greedy(logits), blank=28)
    text = "".join(labels[span.token_id] for span in spans)
    assert text == (
        "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day achieve"
    )
    words = ctc.split_words(spans, delimiter=0)
    assert ["".join(labels[span.token_id] for span in word) for word in words] == text.split()
