"""Intervals against what theory says of cases that can be solved, and the paired difference."""

import numpy as np
import pytest
from edgespeech_calib import interval, paired_difference
from edgespeech_calib.errors import ScoringError


def test_bounds_are_those_of_a_binomial_share():
    """One word an utterance makes the rate a mean of coin throws: its standard error is known."""
    count, wrong = 2000, 300
    errors = [1] * wrong + [0] * (count - wrong)
    found = interval(errors, [1] * count)
    share = wrong / count
    deviation = np.sqrt(share * (1 - share) / count)
    assert found.low == pytest.approx(share - 1.96 * deviation, abs=0.1 * deviation)
    assert found.high == pytest.approx(share + 1.96 * deviation, abs=0.1 * deviation)


def test_the_same_seed_gives_the_same_bounds():
    errors, words = np.random.default_rng(0).integers(1, 50, (2, 200)).tolist()
    assert interval(errors, words, seed=3) == interval(errors, words, seed=3)
    assert interval(errors, words, seed=3) != interval(errors, words, seed=4)


def test_long_utterances_weigh_more():
    found = interval([10, 0], [10, 1000])
    assert found.low == 0.0
    assert found.high == 1.0  # the resamples that hold only the short one


def test_utterances_without_words_are_no_obstacle():
    found = interval([1, 0], [0, 1])
    assert 0.0 <= found.low <= found.high


def test_a_constant_difference_has_no_spread_however_hard_the_utterances_are():
    generator = np.random.default_rng(0)
    second = generator.integers(0, 9, 400)
    difference = paired_difference(list(second + 1), list(second), [10] * 400)
    assert difference.value == pytest.approx(0.1)
    assert (difference.low, difference.high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert difference.worse == 1.0


def test_equal_systems_do_not_differ():
    difference = paired_difference([1, 0, 2], [1, 0, 2], [4, 4, 4])
    assert (difference.value, difference.low, difference.high, difference.worse) == (0.0, 0.0, 0.0, 0.0)


def test_the_sign_is_of_the_first_minus_the_second():
    assert paired_difference([3, 3], [1, 1], [10, 10]).value == pytest.approx(0.2)


@pytest.mark.parametrize(("errors", "words"), [([], []), ([1], [0]), ([1, 2], [3])])
def test_no_words_have_no_interval(errors, words):
    with pytest.raises(ScoringError):
        interval(errors, words)
