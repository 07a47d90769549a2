"""Which layers of a small model go to float beside those that its gate asks for."""

import math
from dataclasses import replace

import pytest
from edgespeech_calib import open_set
from edgespeech_calib.quantization import QuantizationOptions, quantize, timing
from edgespeech_calib.quantization.gate import Verdict
from edgespeech_calib.quantization.layers import Layer
from edgespeech_calib.quantization.refining import (
    EXCERPTS,
    GOAL,
    LARGEST,
    LEAST_SHARE,
    MOST_EXCERPTS,
    Part,
    choose,
    decibels,
    excerpts,
    is_wanted,
)
from edgespeech_calib.scoring import Counts
from fake_quantizer import LAYERS, install

NOISY = 0.05  # noise in the kernel over its own size; it changes no word of the tones
PASSED = Verdict(
    passed=True,
    sentence="",
    speech="",
    utterances=100,
    seconds=500.0,
    words=1000,
    differing=Counts(substitutions=10, insertions=0, deletions=0, hits=990),
    positions=5000,
    sure=4000,
    lost=0,
    ratio=40.0,
    float_errors=None,
    errors=None,
    intervals=None,
    increase=None,
    changed=(),
)


def layers(**macs):
    return [Layer(name, "linear", "transformer", count) for name, count in macs.items()]


def power(ratio):
    return 10 ** (-ratio / 10)


def chosen(network, noise, rest=0.0, share=1.0):
    return choose([Part(network, share)], noise, rest)


def test_the_most_noise_for_the_least_work_goes_first_until_the_goal():
    found = chosen(layers(a=100, b=400, c=400, d=100), {"a": 8e-5, "b": 2e-4, "c": 1e-6, "d": 1.5e-6})
    assert list(found) == ["a", "b"]  # the others make 2.5e-6, under the goal
    assert 2.5e-6 < power(GOAL) < 2.5e-6 + 2e-4
    assert found["a"] == pytest.approx(40.969, abs=1e-3)


def test_no_layer_goes_that_would_leave_too_little_in_integers():
    noise = {"a": 1e-2, "b": 1e-3, "c": 1e-4}
    assert list(chosen(layers(a=60, b=30, c=10), noise)) == ["a", "c"]  # without b, 0.1 would be left
    assert 1.0 - 0.7 >= LEAST_SHARE > 0.1
    assert chosen(layers(a=60, b=30, c=10), noise, share=LEAST_SHARE) == {}


def test_encoder_and_decoder_are_weighed_by_their_own_work_and_each_keeps_enough_in_integers():
    noise = {"a": 1e-3, "b": 1e-3, "c": 1e-3, "d": 1e-4}
    parts = [Part(layers(a=4000, b=6000), 1.0), Part(layers(c=4, d=6), 0.9)]
    assert list(choose(parts, noise, 0.0)) == ["a", "c"]  # 0.6 and 0.54 are left; without b or d, nothing would be
    parts = [Part(layers(a=4000, b=6000), 1.0), Part(layers(c=4, d=6), 0.45)]
    assert list(choose(parts, noise, 0.0)) == ["a"]
    assert list(choose(parts, {**noise, "c": 0.0, "d": 0.0, "b": 1e-6}, 0.0)) == ["a"]
    assert list(choose([Part(layers(a=1, b=9), 1.0), Part((), 0.9)], noise, 0.0)) == ["a"]


def test_a_table_multiplies_nothing_and_leaves_the_share_as_it_is():
    table = Layer("table", "table", "head", 1000)
    parts = [Part([table, *layers(a=60, b=40)], 0.4)]
    assert list(choose(parts, {"table": 1e-3, "a": 1e-6, "b": 0.0}, 0.0)) == ["table"]


@pytest.mark.parametrize(
    ("utterances", "positions", "count"),
    [(24, 6000, EXCERPTS), (24, 400, 15), (100, 100, MOST_EXCERPTS), (0, 0, EXCERPTS)],
)
def test_fewer_positions_take_more_excerpts(utterances, positions, count):
    assert excerpts(replace(PASSED, utterances=utterances, positions=positions)) == count


def test_beside_the_noise_of_a_decoder_a_quarter_of_it_is_enough():
    network, noise = layers(a=10, b=10, c=80), {"a": 1e-3, "b": 1e-4, "c": 1e-6}
    assert list(chosen(network, noise)) == ["a", "b"]
    assert list(chosen(network, noise, rest=4.1e-4)) == ["a"]
    assert chosen(network, noise, rest=5e-3) == {}


def test_no_noise_lies_infinitely_far_below():
    assert decibels(0.0) == math.inf
    assert decibels(1e-3) == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("facts", "allowed", "size", "wanted"),
    [
        ({}, 0.1, LARGEST, True),
        ({}, 0.1, LARGEST + 1, False),
        ({}, 1.2, LARGEST, True),
        ({}, 1.3, LARGEST, False),  # 10 changed words and 3 unseen ones of 1000
        ({"differing": Counts(hits=1000)}, 0.1, LARGEST, True),  # 1000 words cannot show a thousandth
        ({"differing": Counts(hits=3000)}, 0.1, LARGEST, False),
        ({"sure": 499}, 0.1, LARGEST, False),
        ({"ratio": GOAL}, 0.1, LARGEST, False),
    ],
)
def test_when_a_bundle_that_passed_is_refined(facts, allowed, size, wanted):
    assert is_wanted(replace(PASSED, **facts), allowed, size) is wanted


@pytest.fixture
def data(corpus):
    return open_set(corpus)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)


def test_the_layer_that_makes_the_noise_goes_to_float(bundle, tmp_path, data, monkeypatch):
    install(monkeypatch, damage={"layers.0.q_proj": NOISY})
    found = quantize(bundle, tmp_path / "int8", data)
    assert [t.passed for t in found.tries] == [True, True]
    assert [layer.name for layer in found.layers if layer.precision == "float32"] == ["layers.0.q_proj"]
    (why,) = [layer.why for layer in found.layers if layer.why]
    assert why.startswith("alone in INT8 it puts noise 4")
    first, second = (float(t.result.split("logits ")[1].split(" dB")[0]) for t in found.tries)
    assert first < 45 < GOAL < second
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".int8")] == []


def test_a_decoders_layer_that_makes_the_noise_goes_to_float(bundle, tmp_path, data, monkeypatch):
    install(monkeypatch, decoder={"decoder.1.fc": NOISY})
    found = quantize(bundle, tmp_path / "int8", data)
    assert {layer.precision for layer in found.layers} == {"int8"}
    report = found.manifest.report["quantization"]["decoder"]
    assert [layer["name"] for layer in report["layers_in_float"]] == ["decoder.1.fc"]
    assert report["layers_in_float"][0]["why"].startswith("alone in INT8 it puts noise 4")
    assert report["integer_share"] == 0.6
    first, second = (float(t.result.split("logits ")[1].split(" dB")[0]) for t in found.tries)
    assert first < 45 < GOAL < second


@pytest.mark.parametrize("options", [QuantizationOptions(max_wer_increase=100.0), QuantizationOptions(revert=False)])
def test_who_allows_more_or_forbids_reverting_keeps_all_layers(bundle, tmp_path, data, monkeypatch, options):
    install(monkeypatch, damage={"layers.0.q_proj": NOISY})
    found = quantize(bundle, tmp_path / "int8", data, options)
    assert (len(found.tries), {layer.precision for layer in found.layers}) == (1, {"int8"})


def test_where_all_make_noise_enough_stays_in_integers(bundle, tmp_path, data, monkeypatch):
    install(monkeypatch, damage={layer.name: NOISY for layer in LAYERS})
    found = quantize(bundle, tmp_path / "int8", data)
    assert len(found.tries) == 2
    assert LEAST_SHARE <= found.manifest.report["quantization"]["integer_share"] < 1
