"""What utterances show of a share, against bounds worked by hand."""

import pytest
from edgespeech_calib.errors import ScoringError
from edgespeech_calib.quantization.judge.evidence import Evidence, of_increase, of_share, wilson
from edgespeech_calib.scoring.bootstrap import paired_difference


@pytest.mark.parametrize(
    ("found", "total", "low", "high"),
    [
        (0, 500, 0.0, 0.007624),  # z^2 / (n + z^2) = 3.8416 / 503.8416
        (1, 10, 0.017876, 0.404150),
        (15, 50, 0.191026, 0.437506),  # (15 + 1.9208 -+ 1.96 sqrt(10.5 + 0.9604)) / 53.8416
        (10, 10, 0.722460, 1.0),  # 10 / 13.8416
        (12, 10, 0.722460, 1.0),  # insertions: more changes than words
    ],
)
def test_wilsons_bounds_are_those_worked_by_hand(found, total, low, high):
    bounds = wilson(found, total)
    assert (bounds.low, bounds.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


def test_no_changes_show_little_on_few_words_and_much_on_many():
    few, many = of_share([0] * 4, [10] * 4, 0.02), of_share([0] * 40, [10] * 40, 0.02)
    assert (few.value, few.low, few.is_within, few.is_worse) == (0.0, 0.0, False, False)
    assert few.high == pytest.approx(3.8416 / 43.8416)
    assert many.is_within
    assert few.conclusion.startswith("not shown to be more; about ")
    assert many.conclusion == "shown to be no more"


def test_changes_in_one_utterance_show_less_than_the_same_in_many():
    """Words of an utterance depend on each other: 30 in one are one event, 30 in 30 utterances are 30."""
    spread = of_share([1] * 30 + [0] * 70, [10] * 100, 0.02)
    lumped = of_share([10] * 3 + [0] * 97, [10] * 100, 0.02)
    assert spread.value == lumped.value == 0.03
    assert lumped.low < spread.low
    assert lumped.high > spread.high


def test_what_is_refused_is_shown_to_be_more():
    assert of_share([3] * 40, [10] * 40, 0.02).is_worse
    assert not of_share([1, 0, 0, 0], [10] * 4, 0.02).is_worse  # 2.5 % of 40 words are one word


def test_four_times_the_utterances_halve_the_reach():
    """Seen 1 % with bounds 0.5 to 3 %: to come under 2 %, the reach of 2 points must halve."""
    found = Evidence(0.01, 0.005, 0.03, allowed=0.02, utterances=25)
    assert found.needed == 100
    assert found.conclusion == "not shown to be more; about 100 utterances would settle it"
    above = Evidence(0.04, 0.01, 0.08, allowed=0.02, utterances=25)  # 3 points down to 2: 2.25 times as many
    assert above.needed == 57
    assert Evidence(0.02, 0.01, 0.03, allowed=0.02, utterances=25).needed is None
    assert Evidence(0.0, 0.0, 0.01, allowed=0.02, utterances=25).needed == 25


@pytest.mark.parametrize(("count", "needed"), [(1230, 1300), (1.01, 2), (99.5, 100)])
def test_needed_utterances_are_rounded_up_to_two_digits(count, needed):
    reach = 0.01 * (count / 1.0) ** 0.5
    assert Evidence(0.01, 0.0, 0.01 + reach, allowed=0.02, utterances=1).needed == needed


def test_an_increase_keeps_the_bounds_of_its_bootstrap():
    increase = paired_difference([3, 0, 1, 2], [1, 0, 1, 2], [10] * 4)
    found = of_increase(increase, [2, 0, 0, 0], [10] * 4, 0.003)
    assert (found.value, found.low, found.high) == (increase.value, increase.low, increase.high)


def test_where_no_utterance_differs_the_words_bound_the_increase():
    increase = paired_difference([1, 0], [1, 0], [200, 300])
    assert (increase.low, increase.high) == (0.0, 0.0)
    found = of_increase(increase, [0, 0], [200, 300], 0.01)
    assert found.high == pytest.approx(0.007624, abs=1e-6)
    assert found.low == -found.high
    assert found.is_within


def test_no_words_show_nothing():
    with pytest.raises(ScoringError):
        of_share([0, 1], [0, 0], 0.02)
