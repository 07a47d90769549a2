"""Our own file: the scores of the model that it was written from, exactly or in 256 values; what is refused."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.ngrams.arpa import read_arpa
from edgespeech_runtime.ctc.ngrams.compact import HEADER
from edgespeech_runtime.ctc.ngrams.tables import Tables
from edgespeech_runtime.errors import LanguageModelError

from edgespeech.ngrams.compact import quantized, write_compact


@pytest.fixture(scope="module")
def compact(goldens, tmp_path_factory):
    """Write a golden ARPA file as ours."""
    folder = tmp_path_factory.mktemp("compact")

    def write(name, quantize=False):
        path = folder / f"{name}.{quantize}.lm"
        write_compact(read_arpa(goldens / f"{name}.arpa"), path, quantize)
        return path

    return write


@pytest.mark.parametrize("boundary", [True, False])
@pytest.mark.parametrize("name", ["two", "three", "pruned"])
def test_scores_and_words_are_those_of_the_arpa_file(goldens, compact, score_all, name, boundary):
    model, arpa = open_language_model(compact(name)), open_language_model(goldens / f"{name}.arpa")
    assert score_all(model, boundary) == score_all(arpa, boundary)
    assert model.words == arpa.words
    assert model.order == arpa.order
    assert [model.has_prefix(p) for p in ("WON", "WONT", "ZZ")] == [arpa.has_prefix(p) for p in ("WON", "WONT", "ZZ")]


def test_quantized_scores_are_near(goldens, tmp_path, score_all):
    """The probabilities are shaken first: those of a short text are so few that 256 bins hold them exactly."""
    tables, shake = read_arpa(goldens / "three.arpa"), np.random.default_rng(0)
    shaken = [
        replace(each, probabilities=(each.probabilities * shake.uniform(1, 1.1, len(each.ids))).astype(np.float32))
        for each in tables.orders
    ]
    for quantize in (False, True):
        write_compact(Tables(tables.words, shaken), tmp_path / f"{quantize}.lm", quantize)
    exact, near = tmp_path / "False.lm", tmp_path / "True.lm"
    difference = np.subtract(score_all(open_language_model(exact), True), score_all(open_language_model(near), True))
    assert 0 < np.abs(difference).max() < 0.02
    assert near.stat().st_size < 0.8 * exact.stat().st_size  # the bins themselves take 5 kB


def test_bins_are_exact_for_few_values_and_near_for_many():
    few = np.array([-1.5, -0.25, 0, -0.25], np.float32)
    numbers, bins = quantized(few)
    assert (bins[numbers] == few).all()
    many = np.random.default_rng(0).normal(-2, 1, 100_000).astype(np.float32)
    many[:10] = 0
    numbers, bins = quantized(many)
    assert len(bins) <= 256
    assert (bins[numbers[:10]] == 0).all()
    # Of a normal distribution in n bins the best mean square is near (pi sqrt(3) / 2) / n^2 (Panter and Dite 1951).
    assert np.mean((bins[numbers] - many) ** 2) < 1.3 * 2.72 / 256**2


def test_more_ngrams_than_a_block_has_find_their_extensions(tmp_path, goldens, score_all):
    """Offsets are counted from a base for every 256 entries; `three` has 312 words and more bigrams."""
    path = tmp_path / "three.lm"
    write_compact(read_arpa(goldens / "three.arpa"), path)
    header = path.read_bytes()[HEADER.size :][: HEADER.unpack_from(path.read_bytes())[2]]
    kinds = {name: entry[0] for name, entry in json.loads(header)["arrays"].items()}
    assert kinds["1.first"] == kinds["2.first"] == "<u2"
    assert kinds["1.first.bases"] == "<u4"


@pytest.mark.parametrize("quantize", [False, True])
def test_an_order_without_ngrams(goldens, tmp_path, quantize):
    """All but words may be pruned away."""
    tables = read_arpa(goldens / "three.arpa")
    none = [replace(each, ids=each.ids[:0], probabilities=each.probabilities[:0]) for each in tables.orders[1:]]
    none[0] = replace(none[0], backoffs=none[0].probabilities)
    write_compact(Tables(tables.words, [tables.orders[0], *none]), tmp_path / "lm", quantize)
    model, whole = open_language_model(tmp_path / "lm"), open_language_model(goldens / "three.arpa")
    assert model.order == 3
    assert model.score((), "I")[0] == pytest.approx(whole.score((), "I")[0], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:20], "cut short"),
        (lambda data: data[:200], "cut short or damaged"),
        (lambda data: data[:-8], "cut short or damaged"),
        (lambda data: data[:-100] + b"#" + data[-99:], "cut short or damaged"),
        (lambda data: data.replace(b"lm 1\n", b"lm 2\n", 1), "has version 2, this runtime reads 1"),
        (lambda data: data[:20] + struct.pack("<I", 2**31) + data[24:], "cut short or damaged"),
        (lambda data: data.replace(b'"order": 3', b'"order": 4', 1), "cut short or damaged"),
    ],
)
def test_what_is_refused(compact, tmp_path, change, message):
    path = tmp_path / "altered.lm"
    path.write_bytes(change(compact("three").read_bytes()))
    with pytest.raises(LanguageModelError, match=message) as caught:
        open_language_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
