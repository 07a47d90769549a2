"""Ranges of activations against numpy over all values at once, and against onnxruntime's own arithmetic."""

import numpy as np
import pytest
from edgespeech_calib.quantization.onnx.ranges import BINS, KEPT, Observer, Range, scale_and_zero
from edgespeech_calib.quantization.options import Types
from onnxruntime.quantization.quant_utils import compute_scale_zp

UNSIGNED, SIGNED = Types("uint8", "int8", False, ""), Types("int8", "int8", False, "")


def seen(*samples: np.ndarray) -> Observer:
    """An observer that was shown these samples, each with its extremes."""
    observer = Observer()
    for sample in samples:
        observer.see(float(sample.min()), float(sample.max()), sample)
    return observer


def draws(*deviations: float) -> list[np.ndarray]:
    """Normal numbers of these deviations."""
    generator = np.random.default_rng(0)
    return [generator.normal(0.3, deviation, 20_000).astype(np.float32) for deviation in deviations]


@pytest.mark.parametrize("types", [UNSIGNED, SIGNED])
@pytest.mark.parametrize(("low", "high"), [(-0.17, 5.3), (-2.0, 0.0), (0.0, 1.0), (0.5, 3.0), (-4.0, -1.0), (0.0, 0.0)])
def test_scale_and_zero_are_those_of_onnxruntime(types: Types, low: float, high: float) -> None:
    ends = (-128, 127) if types is SIGNED else (0, 255)
    wanted = compute_scale_zp(np.float32(low), np.float32(high), *(np.array(end) for end in ends))
    scale, zero = scale_and_zero(Range(low, high), types)
    assert scale == pytest.approx(float(wanted[1]), rel=1e-6)
    if low < high:
        assert int(zero) == int(wanted[0])
    assert zero.dtype == np.dtype(types.activation)


def test_histogram_grows_to_what_it_would_have_been_at_once() -> None:
    samples = draws(0.1, 8.0, 1.0)
    observer = seen(*samples)
    everything = np.concatenate(samples)
    wanted, _ = np.histogram(everything, BINS, (-observer.reach, observer.reach))
    assert observer.reach >= np.abs(everything).max() > observer.reach / 2
    assert np.abs(observer.counts - wanted).sum() <= 2  # of values that lie on an edge
    assert observer.counts.shape == (BINS,)


def test_order_of_utterances_changes_nothing() -> None:
    samples = draws(0.1, 8.0, 1.0)
    forward, backward = seen(*samples), seen(*samples[::-1])
    for method in ("minmax", "percentile", "entropy"):
        assert forward.range(method) == backward.range(method)


def test_minmax_needs_no_sample() -> None:
    observer = Observer()
    observer.see(-1.0, 2.0)
    observer.see(-0.5, 7.0)
    assert observer.range("minmax") == Range(-1.0, 7.0)


def test_percentile_is_that_of_all_values() -> None:
    generator = np.random.default_rng(0)
    samples = [generator.uniform(-1, 3, 100_000).astype(np.float32) for _ in range(4)]
    samples[2][17] = 60.0  # rarer than what is left out
    observer = seen(*samples)
    low, high = np.quantile(np.concatenate(samples), [(1 - KEPT) / 2, (1 + KEPT) / 2])
    found, step = observer.range("percentile"), 2 * observer.reach / BINS
    assert found.low == pytest.approx(low, abs=step)
    assert found.high == pytest.approx(high, abs=step)
    assert observer.range("minmax").high == 60.0


def test_entropy_cuts_off_a_far_outlier_and_keeps_a_full_range() -> None:
    (normal,) = draws(1.0)
    far = seen(normal, np.array([40.0], np.float32)).range("entropy")
    assert 3.0 < far.high < 20.0
    uniform = np.linspace(-1, 1, 50_001, dtype=np.float32)
    assert seen(uniform).range("entropy").high > 0.9


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_constant_and_silent_activations_have_a_range(method: str) -> None:
    zeros = np.zeros(100, np.float32)
    assert seen(zeros).range(method) == Range(0.0, 0.0)  # type: ignore[arg-type]
    found = seen(np.full(100, 3.0, np.float32)).range(method)  # type: ignore[arg-type]
    assert found.high == pytest.approx(3.0, rel=0.01)
    assert Observer().range(method) == Range(0.0, 0.0)  # type: ignore[arg-type]
