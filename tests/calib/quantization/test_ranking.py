"""What begins in float, in which order other layers follow, and how far that has to go."""

import math

import pytest
from edgespeech_calib.quantization.layers import Layer
from edgespeech_calib.quantization.ranking import ranked, unsafe
from edgespeech_calib.quantization.reverting import best, search


def layer(name, stage="transformer", macs=100):
    return Layer(name, "linear", stage, macs)


def test_layers_begin_in_float_where_they_are_measured_unsafe():
    layers = [layer("conv0", "features"), layer("conv1", "features"), layer("q"), layer("v"), layer("head", "head")]
    found = unsafe(layers, {"conv0": 19.9, "conv1": 20.0, "q": 19.9, "v": 9.9, "head": 10.0})
    assert list(found) == ["conv0", "v"]
    assert found["conv0"] == "measured 19.9 dB in INT8, under the 20 dB that are safe there"


def test_what_cannot_be_measured_is_unsafe_and_what_was_not_is_not():
    assert list(unsafe([layer("a"), layer("b")], {"a": math.nan})) == ["a"]
    assert unsafe([layer("a")], {"a": -math.inf})
    assert not unsafe([layer("a")], {"a": math.inf})


def test_the_noisiest_go_first():
    layers = [layer("a"), layer("b"), layer("c"), layer("d"), layer("e")]
    assert ranked(layers, {"a": 30.0, "b": 12.0, "c": 20.0, "e": math.nan}) == ["e", "b", "c", "a", "d"]


@pytest.mark.parametrize(("cheap", "first"), [(22.9, "cheap"), (23.1, "dear")])
def test_a_quarter_of_the_work_is_worth_three_decibels(cheap, first):
    layers = [layer("dear", macs=400), layer("cheap", macs=100)]
    assert ranked(layers, {"dear": 20.0, "cheap": cheap})[0] == first


@pytest.mark.parametrize(("conv", "first"), [(34.9, "conv"), (35.1, "linear")])
def test_layers_are_compared_by_how_far_they_are_from_their_limits(conv, first):
    assert ranked([layer("linear"), layer("conv", "features")], {"linear": 25.0, "conv": conv})[0] == first


def test_of_equals_the_first_in_the_network_goes_first():
    assert ranked([layer("b"), layer("a")], {"a": 20.0, "b": 20.0}) == ["b", "a"]


def tries(needed, together=0, others=20, revert=True):
    """What is in float in each try, counted as (together, others), if `needed` of them must be; and the try to keep."""
    first = [f"features {index}" for index in range(together)]
    rest = [str(index) for index in range(others)]

    def attempt(floating):
        names = list(floating)
        found = sum(name in first for name in names), sum(name in rest for name in names)
        assert names == [*first[: found[0]], *rest[: found[1]]]
        return all(count >= least for count, least in zip(found, needed, strict=True)), found

    steps = search(first, rest, attempt, revert)
    assert [sum(step.result) for step in steps] == [step.count for step in steps]
    chosen = best(steps)
    return [step.result for step in steps], None if chosen is None else chosen.result


@pytest.mark.parametrize(
    ("needed", "expected", "chosen"),
    [
        (0, [0], 0),
        (1, [0, 1], 1),
        (2, [0, 1, 3, 2], 2),
        (3, [0, 1, 3, 2], 3),
        (5, [0, 1, 3, 7, 5, 4], 5),
        (13, [0, 1, 3, 7, 15, 11, 13], 13),
        (18, [0, 1, 3, 7, 15, 20, 17, 18], 18),
        (21, [0, 1, 3, 7, 15, 20], None),
    ],
)
def test_tries_grow_and_what_was_not_needed_is_given_back(needed, expected, chosen):
    found = tries((0, needed))
    assert found == ([(0, count) for count in expected], None if chosen is None else (0, chosen))


@pytest.mark.parametrize(
    ("needed", "expected", "chosen"),
    [
        ((0, 0), [(0, 0)], (0, 0)),
        ((1, 0), [(0, 0), (4, 0)], (4, 0)),
        ((0, 1), [(0, 0), (4, 0), (4, 1), (0, 1)], (0, 1)),
        ((4, 2), [(0, 0), (4, 0), (4, 1), (4, 3), (0, 3), (4, 2)], (4, 2)),
        ((0, 2), [(0, 0), (4, 0), (4, 1), (4, 3), (0, 3), (0, 2)], (0, 2)),
        ((5, 0), [(0, 0), (4, 0), (4, 1), (4, 3), (4, 7), (4, 15), (4, 20)], None),
    ],
)
def test_layers_that_go_together_stand_or_fall_so(needed, expected, chosen):
    assert tries(needed, together=4) == (expected, chosen)


def test_without_reverting_there_is_one_try():
    assert tries((0, 1), revert=False) == ([(0, 0)], None)
    assert tries((1, 0), together=3, revert=False) == ([(0, 0)], None)


def test_a_network_without_layers_to_revert():
    assert tries((0, 1), others=0) == ([(0, 0), (0, 0)], None)
