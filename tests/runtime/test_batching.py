"""Batches hold every utterance once, within their size and with little padding."""

import numpy as np
import pytest
from edgespeech_runtime.audio.batching import MOST_PADDING, MOST_SAMPLES, plan


def test_worked_example():
    # 100, 90 and 80 pad to 300, 30 of it wasted; with 40 it is 90 of 400, under a quarter; with 10 it were 180 of 500
    assert list(plan([40, 100, 10, 80, 90], batch_size=8)) == [[1, 4, 3, 0], [2]]


def test_equal_lengths_keep_their_order():
    assert list(plan([7] * 5, batch_size=2)) == [[0, 1], [2, 3], [4]]


def test_nothing():
    assert list(plan([], batch_size=4)) == []


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_random_lengths(batch_size):
    lengths = np.random.default_rng(1).integers(400, 400_000, 200).tolist()
    batches = list(plan(lengths, batch_size))
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    for batch in batches:
        padded = max(lengths[i] for i in batch) * len(batch)
        assert 1 <= len(batch) <= batch_size
        assert len(batch) == 1 or padded <= MOST_SAMPLES
        assert padded - sum(lengths[i] for i in batch) <= MOST_PADDING * padded
