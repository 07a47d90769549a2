"""Words of real speakers, joined with silences between them, are found where they are by the English CTC model."""

import numpy as np
import pytest
from edgespeech_runtime import load
from places import real_speech

from benchmarks.joined_words import draw, edge_errors, join, recordings

MEAN, WORST = 0.030, 0.200  # seconds


@pytest.fixture(scope="module")
def model(bundle):
    with load(bundle("ctc-en", "onnx"), threads=1) as loaded:
        yield loaded


@pytest.mark.parametrize(("name", "count", "words"), [("fsdd", 8, 6), ("keywords", 8, 3)])
def test_words_are_found_where_they_are(model, name, count, words):
    known = recordings(real_speech(name))
    rng = np.random.default_rng(20)
    errors = []
    for seed in range(count):
        errors.append(edge_errors(model, join(draw(known, words, rng), (0.0, 0.1, 0.5, 2.0), seed)))
    late = np.abs(np.concatenate(errors))
    assert not np.isnan(late).any()
    assert late.mean() <= MEAN
    assert late.max() <= WORST


def test_a_minute_of_silence_attracts_nothing(model):
    known = recordings(real_speech("fsdd"))
    errors = edge_errors(model, join(draw(known, 3, np.random.default_rng(4)), (60.0, 0.3), seed=1))
    assert np.abs(errors).max() <= WORST
