"""Draws are spread over speakers and lengths, and depend on nothing but the set and the seed."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from edgespeech_calib.errors import DataError
from edgespeech_calib.speech.sampling import sample
from edgespeech_calib.speech.utterance import Utterance


@dataclass(frozen=True)
class Silent:
    """A source that nobody reads."""

    name: str = "silent"


def made(speakers, each, seed=0):
    """`each` utterances of every speaker, 1 to 35 seconds long."""
    seconds = np.random.default_rng(seed).uniform(1, 35, (speakers, each))
    return [
        Utterance(f"{speaker}-{number}", Silent(), speaker=str(speaker), seconds=float(seconds[speaker, number]))
        for speaker in range(speakers)
        for number in range(each)
    ]


@pytest.mark.parametrize(("speakers", "each", "count"), [(40, 10, 40), (40, 10, 25), (8, 50, 100), (3, 9, 10)])
def test_speakers_have_equal_shares(speakers, each, count):
    shares = Counter(utterance.speaker for utterance in sample(made(speakers, each), count))
    assert sum(shares.values()) == count
    assert len(shares) == min(speakers, count)
    assert max(shares.values()) - min(shares.values()) <= 1


def test_a_speaker_with_few_utterances_gives_all_of_them():
    whole = [*made(1, 2), *(Utterance(f"9-{n}", Silent(), speaker="9", seconds=3.0 + n) for n in range(50))]
    assert Counter(utterance.speaker for utterance in sample(whole, 20)) == {"0": 2, "9": 18}


@pytest.mark.parametrize("seed", range(5))
def test_lengths_are_those_of_the_set(seed):
    whole = made(30, 30)
    drawn = np.array([utterance.seconds for utterance in sample(whole, 60, seed)])
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        expected = np.quantile([utterance.seconds for utterance in whole], share)
        assert np.quantile(drawn, share) == pytest.approx(expected, abs=1.0)


def test_the_draw_depends_on_the_seed_and_not_on_the_order():
    whole = made(20, 20)
    ids = {utterance.id for utterance in sample(whole, 30, seed=1)}
    assert {utterance.id for utterance in sample(whole[::-1], 30, seed=1)} == ids
    assert {utterance.id for utterance in sample(whole, 30, seed=2)} != ids


def test_the_order_stays_that_of_the_set():
    whole = made(20, 20)
    drawn = sample(whole, 30)
    assert drawn == [utterance for utterance in whole if utterance in drawn]


def test_a_known_draw():
    """The same on every platform and in every version: it is written down in calibration lists."""
    assert [utterance.id for utterance in sample(made(4, 5), 4, seed=0)] == ["0-2", "1-2", "2-2", "3-4"]


def test_sets_without_speakers_and_lengths():
    whole = [Utterance(str(number), Silent()) for number in range(50)]
    assert len({utterance.id for utterance in sample(whole, 10)}) == 10


def test_more_than_there_are_is_all():
    whole = made(2, 3)
    assert sample(whole, 6) == sample(whole, 100) == whole


@pytest.mark.parametrize("count", [0, -3])
def test_less_than_one_is_refused(count):
    with pytest.raises(DataError, match=f"cannot draw {count}"):
        sample(made(2, 3), count)
