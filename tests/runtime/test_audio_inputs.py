"""What a caller may hand over as sound, and what every bad input is told."""

import inspect
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from edgespeech_runtime import read_audio
from edgespeech_runtime.audio import to_waveforms
from edgespeech_runtime.errors import AudioError, AudioFileMissingError, AudioPackageError

RATE = 16000


def tone(rate: int = RATE, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def to_waveform(item, rate=None):
    (samples,) = to_waveforms([item], rate, RATE, 1)
    return samples


@pytest.mark.parametrize(("suffix", "bound"), [(".wav", 1e-4), (".flac", 1e-4), (".ogg", 0.05), (".mp3", 0.05)])
def test_formats(tmp_path, suffix, bound):
    path = tmp_path / f"x{suffix}"
    soundfile.write(path, tone(), RATE)
    for name in (path, str(path)):
        samples = read_audio(name, RATE)
        assert (samples.dtype, samples.shape) == (np.float32, (8000,))
        assert np.sqrt(np.mean((samples - tone()) ** 2)) < bound


def test_content_decides_not_the_name(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(), RATE)
    (tmp_path / "x.wav").rename(tmp_path / "x.flac")
    np.testing.assert_allclose(read_audio(tmp_path / "x.flac", RATE), tone(), atol=1e-4)


def test_a_long_file_is_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("edgespeech_runtime.audio.sound_files.BLOCK", 1000)
    soundfile.write(tmp_path / "x.flac", tone(), RATE)  # 8000 samples: eight full blocks and an empty one
    np.testing.assert_allclose(read_audio(tmp_path / "x.flac", RATE), tone(), atol=1e-4)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_channels_are_averaged(tmp_path, suffix):
    stereo = np.stack([tone(), np.zeros_like(tone())], axis=1)
    soundfile.write(tmp_path / f"x{suffix}", stereo, RATE)
    np.testing.assert_allclose(read_audio(tmp_path / f"x{suffix}", RATE), tone() / 2, atol=1e-4)
    np.testing.assert_allclose(to_waveform(stereo), tone() / 2)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_the_tone(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", tone(rate), rate)
    for samples in (
        read_audio(tmp_path / "x.wav", RATE),
        to_waveform(tone(rate), rate),
        to_waveform(tone(rate), float(rate)),
    ):
        assert abs(len(samples) - 8000) <= 1
        inner = slice(500, 7500)  # the filter rings at the ends
        np.testing.assert_allclose(samples[:8000][inner], tone()[: len(samples)][inner], atol=2e-3)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int8, [-128, 0, 64], [-1, 0, 0.5]),
        (np.uint8, [0, 128, 192], [-1, 0, 0.5]),
        (np.int16, [-(2**15), 0, 2**14], [-1, 0, 0.5]),
        (np.int32, [-(2**31), 0, 2**30], [-1, 0, 0.5]),
        (np.float16, [-1, 0, 0.5], [-1, 0, 0.5]),
        (np.float64, [-1, 0, 0.5], [-1, 0, 0.5]),
        (np.dtype(">f4"), [-1, 0, 0.5], [-1, 0, 0.5]),
        (np.dtype(">i2"), [-(2**15), 0, 2**14], [-1, 0, 0.5]),
    ],
)
def test_array_types(dtype, values, expected):
    samples = to_waveform(np.array(values, dtype))
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, expected)


def test_whatever_numpy_takes_as_an_array():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return tone()

    np.testing.assert_array_equal(to_waveform(Tensor()), tone())


def test_views_are_read_as_they_are():
    np.testing.assert_array_equal(to_waveform(tone()[::-1]), tone()[::-1])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (np.array([0.0, np.nan]), "the samples are not all finite"),
        (np.array([0.0, -np.inf]), "the samples are not all finite"),
        (np.array([0.0, 1e300]), "the samples are not all finite"),
        (np.zeros(0), "there is no sound: 0 samples"),
        (np.zeros((100, 0)), "there is no sound: 0 samples"),
        (np.zeros((10, 2, 1)), r"expected an array \[samples\] or \[samples, channels\], got the shape \[10, 2, 1\]"),
        (np.float32(0.5), r"expected an array \[samples\] or \[samples, channels\], got the shape \[\]"),
        (np.zeros((2, 100)), r"got fewer samples than channels \[2, 100\]: transpose it"),
        (np.zeros(10, np.int64), "got int64: convert them"),
        (np.zeros(10, np.uint16), "got uint16: convert them"),
        (np.zeros(10, bool), "got bool: convert them"),
        (np.zeros(10, complex), "got complex128: convert them"),
        (np.array(["a"]), "expected floats"),
        ([0.1, 0.2], "expected a path or an array of samples, got list"),
        (None, "expected a path or an array of samples, got NoneType"),
    ],
)
def test_bad_arrays_are_named(item, message):
    with pytest.raises(AudioError, match=message):
        to_waveform(item)


@pytest.mark.parametrize("rate", [0, -16000, 16, 2_000_000, float("nan"), float("inf"), "16000", None])
def test_impossible_sampling_rates_are_named(rate):
    if rate is None:
        assert len(to_waveform(tone(), None)) == 8000  # the model's own
        return
    with pytest.raises(AudioError, match="expected a sampling rate of 1000 to 1000000 Hz, got"):
        to_waveform(tone(), rate)


def test_an_impossible_rate_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[24:28] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"x.wav: expected a sampling rate of 1000 to 1000000 Hz, got 0"):
        read_audio(path, RATE)


@pytest.mark.parametrize("rate", [0, 16, None, "16000", float("nan")])
def test_impossible_rates_to_read_at(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", tone(), RATE)
    with pytest.raises(AudioError, match="expected a sampling rate of 1000 to 1000000 Hz, got"):
        read_audio(tmp_path / "x.wav", rate)


def test_one_sample_of_stereo_is_no_transposed_array(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([[0.5, 0.25]]), RATE)
    np.testing.assert_allclose(read_audio(tmp_path / "x.wav", RATE), [0.375], atol=1e-4)


def test_too_short_says_how_much_is_needed(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone()[:160], RATE)
    message = (
        r"160 samples \(10.0 ms\) of sound at 16000 Hz are too few: this model needs at least 400 samples \(25.0 ms\)"
    )
    with pytest.raises(AudioError, match="^" + message):
        to_waveforms([tone()[:160]], None, RATE, 400)
    with pytest.raises(AudioError, match=r"x.wav: " + message):
        to_waveforms([tmp_path / "x.wav"], None, RATE, 400)


def test_a_missing_file(tmp_path):
    for suffix in (".wav", ".flac", ""):
        with pytest.raises(AudioFileMissingError, match=r"gone.*: no such audio file") as caught:
            read_audio(tmp_path / f"gone{suffix}", RATE)
        assert isinstance(caught.value, FileNotFoundError)


def test_a_folder_is_no_audio(tmp_path):
    with pytest.raises(AudioError, match="cannot be read: "):
        read_audio(tmp_path, RATE)


def test_an_empty_recording(tmp_path):
    for suffix, message in (
        (".wav", "there is no sound: 0 samples"),
        (".flac", "(the file is empty|truncated or damaged)"),
    ):
        soundfile.write(tmp_path / f"x{suffix}", tone()[:0], RATE)
        with pytest.raises(AudioError, match=rf"x{suffix}: {message}"):
            read_audio(tmp_path / f"x{suffix}", RATE)


def test_not_finite_samples_in_a_file(tmp_path):
    for value, subtype in ((np.nan, "FLOAT"), (np.inf, "FLOAT"), (1e300, "DOUBLE")):
        soundfile.write(tmp_path / "x.wav", np.array([0.0, value]), RATE, subtype=subtype)
        with pytest.raises(AudioError, match=r"x.wav: the samples are not all finite"):
            read_audio(tmp_path / "x.wav", RATE)


def test_text_with_the_name_of_sound(tmp_path):
    for suffix, message in (
        (".wav", "not a WAVE file"),
        (".raw", "damaged, or no sound that can be read"),
        (".flac", "damaged, or no sound that can be read"),
        ("", "no sound"),
    ):
        path = tmp_path / f"story{suffix}"
        path.write_text("once upon a time " * 100)
        with pytest.raises(AudioError, match=rf"story{suffix}: .*{message}") as caught:
            read_audio(path, RATE)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_truncated_flac_is_an_error_not_a_short_recording(tmp_path, share):
    path = tmp_path / "x.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 32000), RATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioError, match=r"x.flac: (damaged, or no sound that can be read|truncated)") as caught:
        read_audio(path, RATE)
    assert "\n" not in str(caught.value)


def test_fewer_samples_than_the_header_promises(tmp_path, monkeypatch):
    path = tmp_path / "x.flac"
    soundfile.write(path, tone(), RATE)
    monkeypatch.setattr(soundfile.SoundFile, "frames", property(lambda self: 9000))
    with pytest.raises(AudioError, match=r"x.flac: truncated, it promises 9000 samples and has 8000"):
        read_audio(path, RATE)
    monkeypatch.setattr(soundfile.SoundFile, "frames", property(lambda self: 2**63 - 1))  # a stream of unknown length
    assert len(read_audio(path, RATE)) == 8000


def test_an_mp3_that_cannot_know_its_length_is_read(tmp_path):
    if "bitrate_mode" not in inspect.signature(soundfile.write).parameters:
        pytest.skip("needs soundfile 0.13 to write such a file")
    path = tmp_path / "x.mp3"
    quiet = np.zeros(80_000)
    samples = np.concatenate([quiet, np.random.default_rng(0).uniform(-0.3, 0.3, 80_000), quiet])
    soundfile.write(path, samples, RATE, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], 4) :])  # without the frame that tells the length
    assert soundfile.info(path).frames > 1.2 * len(samples)  # a guess
    assert len(read_audio(path, RATE)) == pytest.approx(len(samples), abs=4000)


def test_without_soundfile_only_wave_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    soundfile.write(tmp_path / "x.wav", tone(), RATE)
    soundfile.write(tmp_path / "x.flac", tone(), RATE)
    assert len(read_audio(tmp_path / "x.wav", RATE)) == 8000
    with pytest.raises(
        AudioPackageError, match=r"x.flac.* needs the package soundfile: pip install edgespeech-runtime\[audio\]"
    ):
        read_audio(tmp_path / "x.flac", RATE)


def test_without_soxr_only_the_models_rate_is_heard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    assert len(to_waveform(tone(), RATE)) == 8000
    message = r"resampling from 8000 to 16000 Hz needs the package soxr: pip install edgespeech-runtime\[audio\]"
    with pytest.raises(ImportError, match=message):
        to_waveform(tone(8000), 8000)
    soundfile.write(tmp_path / "x.wav", tone(8000), 8000)
    with pytest.raises(AudioError, match=message):
        read_audio(tmp_path / "x.wav", RATE)


SPEECH = Path(os.environ.get("EDGESPEECH_SPEECH") or Path(__file__).parents[3] / "shared" / "speech")


@pytest.mark.skipif(not SPEECH.exists(), reason="needs EDGESPEECH_SPEECH or ../shared/speech")
@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_real_recordings_keep_their_duration(suffix):
    paths = sorted(SPEECH.rglob(f"*{suffix}"))[::500]
    assert paths
    for path in paths:
        samples = read_audio(path, RATE)
        assert len(samples) / RATE == pytest.approx(soundfile.info(path).duration, abs=1e-3)
        assert 0.001 < np.abs(samples).max() <= 1.1


def test_the_bad_item_of_a_list_is_named(tmp_path):
    for bad in (np.zeros(0), tmp_path / "gone.wav", None):
        with pytest.raises(AudioError, match=r"^audio\[2\]: "):
            to_waveforms([tone(), tone(), bad], None, RATE, 1)
