"""The best scores without sorting, against a full stable sort."""

import numpy as np
import pytest
import torch
from edgespeech_runtime.generation.scores import log_softmax, normalizer, top, top_of_rows


@pytest.mark.parametrize("size", [1, 5, 256, 257, 1000, 4096, 4097, 30_001])
@pytest.mark.parametrize("count", [1, 4, 10, 50])
@pytest.mark.parametrize("kinds", [None, 3, 200])
def test_top_equals_a_stable_sort(size, count, kinds):
    rng = np.random.default_rng([size, count])
    for _ in range(5):
        scores = rng.normal(size=size) if kinds is None else rng.integers(0, kinds, size) - kinds / 2
        scores = scores.astype(np.float32)
        scores[rng.random(size) < 0.3] = -np.inf
        expected = np.argsort(-scores, kind="stable")[:count]
        np.testing.assert_array_equal(top(scores, min(count, size)), expected)


def test_log_softmax_is_that_of_torch_to_two_units_in_the_last_place():
    scores = (np.random.default_rng(0).normal(size=(5, 3001)) * 6).astype(np.float32)
    expected = torch.log_softmax(torch.as_tensor(scores), dim=-1).numpy()
    np.testing.assert_allclose(log_softmax(scores), expected, rtol=3e-7, atol=1e-6)
    np.testing.assert_allclose(normalizer(scores).of(scores[:, 7:9]), expected[:, 7:9], rtol=3e-7, atol=1e-6)


def test_what_is_excluded_stays_so():
    scores = np.array([[-np.inf, 0.0], [-np.inf, -np.inf]], np.float32)
    assert normalizer(scores).of(scores[:, 0]).tolist() == [-np.inf, -np.inf]
    assert log_softmax(scores)[0].tolist() == [-np.inf, 0.0]


def test_infinity_takes_all():
    scores = np.array([[1.0, np.inf, -np.inf]], np.float32)
    assert normalizer(scores).of(scores).tolist() == [[-np.inf, 0.0, -np.inf]]


@pytest.mark.parametrize("size", [5, 1023, 1024, 4099, 30_001])
@pytest.mark.parametrize("count", [1, 10, 128, 129])
@pytest.mark.parametrize("kinds", [None, 3, 2000])
def test_the_best_of_several_rows_are_those_of_each(size, count, kinds):
    rng = np.random.default_rng([size, count])
    for rows in (1, 2, 5):
        scores = rng.normal(size=(rows, size)) if kinds is None else rng.integers(0, kinds, (rows, size)) - kinds / 2
        scores = scores.astype(np.float32)
        scores[rng.random(scores.shape) < 0.3] = -np.inf
        scores[-1] *= 100  # no row decides for another
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        np.testing.assert_array_equal(top_of_rows(scores, count), expected)


def test_the_best_of_rows_with_next_to_nothing_allowed():
    scores = np.full((3, 5000), -np.inf, np.float32)
    scores[1, [4999, 7]] = 1.0, 2.0
    np.testing.assert_array_equal(top_of_rows(scores, 4), [[0, 1, 2, 3], [7, 4999, 0, 1], [0, 1, 2, 3]])
