"""What begins in float, and which layers follow if that is not enough."""

import math

import pytest
from edgespeech_calib.quantization.search.layers import Layer
from edgespeech_calib.quantization.search.ranking import chosen, estimated, ranked, unsafe


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


def test_the_most_damage_for_the_least_work_goes_first():
    layers = [layer("a", macs=400), layer("b", macs=100), layer("c", macs=100)]
    assert ranked(layers, {"a": 3e-3, "b": 1e-3, "c": 0.0}) == ["b", "a"]
    assert ranked(layers, {"a": 5e-3, "b": 1e-3}) == ["a", "b"]


def test_of_equals_the_first_in_the_network_goes_first():
    assert ranked([layer("b"), layer("a")], {"a": 1e-3, "b": 1e-3}) == ["b", "a"]


@pytest.mark.parametrize(
    ("part", "expected"), [(1.0, []), (0.25, ["a"]), (0.2, ["a"]), (0.19, ["a", "b"]), (0.1, ["a", "b"]), (0.05, "abc")]
)
def test_as_few_go_as_leave_no_more_than_a_part(part, expected):
    """Of 80, 10, 6 and 4, equal in work."""
    layers = [layer(name) for name in "dcba"]
    assert chosen(layers, {"a": 80.0, "b": 10.0, "c": 6.0, "d": 4.0}, part) == list(expected)


def test_what_is_beyond_all_numbers_goes_and_is_no_part_of_the_rest():
    layers = [layer(name) for name in "abc"]
    assert chosen(layers, {"a": 9.0, "b": math.inf, "c": 1.0}, 0.25) == ["b", "a"]
    assert chosen(layers, {"a": 9.0, "b": math.inf, "c": 1.0}, 1.0) == ["b"]


def test_own_noise_stands_for_damage_by_its_distance_from_the_limit():
    layers = [layer("conv", "features"), layer("linear"), layer("broken"), layer("unmeasured")]
    found = estimated(layers, {"conv": 40.0, "linear": 30.0, "broken": math.nan})
    assert found == {"conv": pytest.approx(0.01), "linear": pytest.approx(0.01), "broken": math.inf, "unmeasured": 0.0}


def test_a_network_without_damage_has_nothing_to_return():
    assert chosen([layer("a")], {}, 0.25) == []
    assert chosen([], {}, 0.25) == []
