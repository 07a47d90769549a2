"""Statistics of a whole recording: the same for any blocks, and those that torch's group norm takes of all frames."""

import numpy as np
import pytest
import torch
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.errors import ArgumentError, AudioError
from edgespeech_runtime.long.statistics import CHUNK, Gatherer

KERNEL, STRIDE = 10, 5  # of the first convolution of published models


def sound(samples: int, seed: int = 0) -> np.ndarray:
    """Low frequencies on an offset, as recordings have them, and a little noise."""
    noise = np.random.default_rng(seed).standard_normal(samples + 80)
    low = np.convolve(noise, np.hanning(80), "same")[:samples]
    return (0.02 * low + 1e-3 * noise[:samples] + 0.05).astype(np.float32)


def gathered(samples: np.ndarray, cuts: list[int], **options: object) -> Gatherer:
    gatherer = Gatherer(KERNEL, STRIDE, **options)  # type: ignore[arg-type]
    for block in np.split(samples, cuts):
        gatherer.add(block)
    return gatherer


@pytest.mark.parametrize("samples", [10, 14, 15, 1000, CHUNK - 1, CHUNK, CHUNK + 9, 3 * CHUNK + 4567])
def test_statistics_are_those_of_one_whole_pass(samples):
    whole = sound(samples).astype(np.float64)
    found = gathered(sound(samples), [samples // 3, samples // 2]).statistics()
    patches = np.stack([whole[at : at + KERNEL] for at in range(0, samples - KERNEL + 1, STRIDE)])
    assert found.samples == samples
    assert found.mean == pytest.approx(whole.mean(), abs=1e-9)
    assert found.variance == pytest.approx(whole.var(), abs=1e-9)
    np.testing.assert_allclose(found.patch_mean, patches.mean(0), atol=1e-9)
    np.testing.assert_allclose(found.patch_covariance, np.cov(patches.T, ddof=0), atol=1e-9)


def test_no_bit_depends_on_where_blocks_are_cut():
    samples = sound(3 * CHUNK + 4567)
    generator = np.random.default_rng(1)
    expected = gathered(samples, []).statistics()
    for count in (1, 7, 300, 3000):
        cuts = sorted(generator.integers(0, len(samples), count).tolist())  # empty blocks among them
        found = gathered(samples, cuts).statistics()
        assert (found.samples, found.mean, found.variance) == (expected.samples, expected.mean, expected.variance)
        np.testing.assert_array_equal(found.patch_mean, expected.patch_mean)
        np.testing.assert_array_equal(found.patch_covariance, expected.patch_covariance)


def test_statistics_may_be_asked_for_on_the_way():
    samples = sound(2 * CHUNK)
    gatherer = Gatherer(KERNEL, STRIDE)
    for end in (CHUNK // 2, CHUNK + 77, 2 * CHUNK):
        gatherer.add(samples[int(gatherer.statistics().samples) if end > CHUNK // 2 else 0 : end])
        assert gatherer.statistics().variance == pytest.approx(samples[:end].astype(np.float64).var(), rel=1e-9)


def test_a_window_is_normalised_as_the_whole():
    samples = sound(2 * CHUNK)
    found = gathered(samples, [100]).statistics().normalized(samples[500:900])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, normalize(samples)[500:900], atol=2e-6)


@pytest.mark.parametrize("is_normalized", [True, False])
def test_moments_of_channels_are_those_of_the_whole_output(is_normalized):
    """Also of a channel that sees only high frequencies, whose variance is a millionth of the others'."""
    samples = sound(4 * CHUNK)
    values = normalize(samples) if is_normalized else samples
    generator = np.random.default_rng(2)
    weight = generator.standard_normal((24, KERNEL))
    weight[0] = (-1.0) ** np.arange(KERNEL) * np.hanning(KERNEL + 2)[1:-1]
    output = torch.nn.functional.conv1d(
        torch.from_numpy(values).double()[None, None], torch.from_numpy(weight)[:, None], stride=STRIDE
    )
    expected = torch.nn.GroupNorm(24, 24).double()(output)[0].detach().numpy()
    mean, spread = gathered(samples, [12345]).statistics().patches(is_normalized)
    assert mean.dtype == spread.dtype == np.float32
    single = weight.astype(np.float32)
    variance = np.square(single @ spread.T).sum(1)
    found = (output[0].numpy() - (single @ mean)[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_with_a_memory_they_follow_the_sound():
    quiet, loud = 0.01 * sound(40 * CHUNK, seed=3), sound(40 * CHUNK, seed=4)
    gatherer = gathered(np.concatenate([quiet, loud]), [99], memory=4 * CHUNK)
    found = gatherer.statistics()
    assert found.variance == pytest.approx(loud.astype(np.float64).var(), rel=0.1)
    assert 3.5 * CHUNK < found.samples < 5 * CHUNK
    plain = gathered(np.concatenate([quiet, loud]), [99]).statistics()
    assert plain.variance < 0.7 * found.variance


def test_what_cannot_be_gathered_is_refused():
    with pytest.raises(AudioError, match="at least one sample"):
        Gatherer().statistics()
    gatherer = Gatherer(KERNEL, STRIDE)
    gatherer.add(np.zeros(9, np.float32))
    with pytest.raises(AudioError, match="at least 10 samples"):
        gatherer.statistics()
    with pytest.raises(AudioError, match=r"shape \[samples\]"):
        gatherer.add(np.zeros((3, 2), np.float32))
    with pytest.raises(ArgumentError, match="memory"):
        Gatherer(memory=0.0)
    alone = Gatherer()
    alone.add(np.ones(100, np.float32))
    assert (alone.statistics().mean, alone.statistics().variance) == (1.0, 0.0)
    with pytest.raises(AudioError, match="gather them with a kernel"):
        alone.statistics().patches(True)
