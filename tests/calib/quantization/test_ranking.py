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


def counts(needed, layers=20, revert=True):
    """How many layers are in float in each try, if so many of the worst are needed."""
    names = [str(index) for index in range(layers)]

    def attempt(floating):
        assert floating == names[: len(floating)]
        return len(floating) >= needed, len(floating)

    steps = search(names, attempt, revert)
    assert [step.result for step in steps] == [step.count for step in steps]
    chosen = best(steps)
    return [step.count for step in steps], None if chosen is None else chosen.count


@pytest.mark.parametrize(
    ("needed", "tries", "chosen"),
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
def test_tries_grow_and_what_was_not_needed_is_given_back(needed, tries, chosen):
    assert counts(needed) == (tries, chosen)


def test_without_reverting_there_is_one_try():
    assert counts(1, revert=False) == ([0], None)


def test_a_network_without_layers_to_revert():
    assert counts(1, layers=0) == ([0], None)
