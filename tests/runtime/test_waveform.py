"""Normalisation and padding against worked examples and numpy in double precision."""

import numpy as np
import pytest
from edgespeech_runtime.audio.waveform import normalize, pad
from edgespeech_runtime.errors import AudioError


def test_normalize_worked_example():
    # mean 2, population variance ((1)^2 + 0 + (1)^2) / 3 = 2/3
    found = normalize(np.array([1, 2, 3], np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.array([-1, 0, 1]) / np.sqrt(2 / 3 + 1e-7), rtol=1e-6)


def test_normalize_agrees_with_double_precision_on_a_long_offset_signal():
    samples = (np.random.default_rng(0).standard_normal(480_000) * 0.05 + 0.2).astype(np.float32)
    exact = samples.astype(np.float64)
    exact = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-7)
    np.testing.assert_allclose(normalize(samples), exact, atol=2e-5)


def test_normalize_keeps_silence_silent():
    np.testing.assert_array_equal(normalize(np.zeros(400, np.float32)), np.zeros(400, np.float32))


def test_normalize_leaves_its_input_alone():
    samples = np.array([1, 2, 3], np.float32)
    normalize(samples)
    np.testing.assert_array_equal(samples, [1, 2, 3])


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((2, 3), np.float32), np.float32(1)])
def test_normalize_refuses_what_is_no_waveform(samples):
    with pytest.raises(
        AudioError, match=r"expected a waveform of shape \[samples\] with at least one sample, got shape"
    ):
        normalize(samples)


def test_pad_worked_example():
    batch, lengths = pad([np.array([1.0], np.float32), np.array([2.0, 3.0, 4.0], np.float32)])
    np.testing.assert_array_equal(batch, [[1, 0, 0], [2, 3, 4]])
    np.testing.assert_array_equal(lengths, [1, 3])
    assert (batch.dtype, lengths.dtype) == (np.float32, np.int64)


def test_pad_with_a_value_up_to_a_length():
    batch, lengths = pad([np.array([1.0, 2.0])], value=-1, length=4)
    np.testing.assert_array_equal(batch, [[1, 2, -1, -1]])
    np.testing.assert_array_equal(lengths, [2])


def test_pad_refuses_a_length_that_would_cut():
    with pytest.raises(AudioError, match="cannot pad to 2 samples: the longest waveform has 3"):
        pad([np.zeros(3)], length=2)


def test_pad_refuses_nothing():
    with pytest.raises(AudioError, match="expected at least one waveform to pad, got none"):
        pad([])
