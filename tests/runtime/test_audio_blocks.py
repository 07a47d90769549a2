"""Recordings in blocks: the same samples as the whole at once, within little memory, and errors where they stand."""

import gc
import io
import os
import struct
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from edgespeech_runtime import AudioWarning, read_audio
from edgespeech_runtime.audio import AudioBlocks, to_waveforms
from edgespeech_runtime.audio.samples import BLOCK
from edgespeech_runtime.errors import AudioError, AudioFileMissingError
from sounds import RATE, media

FORMATS = ["WAV", "RF64", "FLAC", "OGG", "MP3", "AIFF"]
LENGTH = 3 * BLOCK + 1001  # samples


def sound(samples: int = LENGTH, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform(-0.5, 0.5, (samples, channels)).astype(np.float32)


def written(path: Path, samples: np.ndarray, rate: int, form: str = "WAV", **options) -> Path:
    soundfile.write(path, samples, rate, format=form, **options)
    return path


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (44100, 2), (8000, 1)])
@pytest.mark.parametrize("form", FORMATS)
def test_blocks_joined_are_the_whole(tmp_path, form, rate, channels):
    path = written(tmp_path / "x", sound(channels=channels), rate, form)
    blocks = AudioBlocks(path, RATE)
    parts = list(blocks)
    assert len(parts) > 2
    expected = read_audio(path, RATE)
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), expected)  # a second time
    assert blocks.duration == pytest.approx(LENGTH / rate, abs=0.1)


@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".mkv", ".amr"])
def test_media_in_blocks(tmp_path, suffix):
    pytest.importorskip("av")
    path = tmp_path / f"x{suffix}"
    path.write_bytes(media(suffix, sound(2 * BLOCK)[:, 0]))
    parts = list(AudioBlocks(path, 12000))
    assert len(parts) > 1 or suffix == ".amr"
    np.testing.assert_array_equal(np.concatenate(parts), read_audio(path, 12000))


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float64])
def test_arrays_pairs_and_mappings_in_blocks(dtype):
    values = sound(channels=2)
    array = values if np.dtype(dtype).kind == "f" else values * 100
    array = (array + 128 if dtype == np.uint8 else array).astype(dtype)
    (expected,) = to_waveforms([array], 22050, RATE, 1)
    for item in ((22050, array), {"array": array, "sampling_rate": 22050}):
        np.testing.assert_array_equal(np.concatenate(list(AudioBlocks(item, RATE))), expected)
    blocks = AudioBlocks(array, RATE, sampling_rate=22050)
    np.testing.assert_array_equal(np.concatenate(list(blocks)), expected)
    assert (blocks.duration, blocks.file) == (LENGTH / 22050, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("in_memory", [1000, 2**25])
def test_a_pipe_is_read_once_and_kept(tmp_path, monkeypatch, in_memory):
    monkeypatch.setattr("edgespeech_runtime.audio.sources.IN_MEMORY", in_memory)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = written(tmp_path / "x.flac", sound(), RATE, "FLAC")
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()), daemon=True).start()
    blocks = AudioBlocks(tmp_path / "pipe", RATE)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(blocks)), read_audio(path, RATE))
    assert len(list((tmp_path / "temporary").iterdir())) == (in_memory < 2**20)
    del blocks
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = written(tmp_path / "x.wav", np.zeros((600 * 44100, 1), np.int16), 44100)  # 53 MB, 106 as floats
    blocks = AudioBlocks(path, RATE)
    list(AudioBlocks(np.zeros(44100, np.float32), RATE, sampling_rate=44100))  # soxr is imported
    tracemalloc.start()
    total = sum(map(len, blocks))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 600 * RATE
    assert peak < 16 * BLOCK


def test_bits_in_the_low_bytes_are_found_in_any_block(tmp_path):
    """24 bits in the low bytes of 32, of which the first blocks show nothing."""
    values = np.zeros(LENGTH, np.int32)
    values[-1] = 0x400001
    fmt = struct.pack("<HHIIHH", 1, 1, RATE, 4 * RATE, 4, 24)
    data = values.astype("<i4").tobytes()
    content = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + fmt + b"data" + struct.pack("<I", len(data)) + data
    joined = np.concatenate(list(AudioBlocks(content, RATE)))
    assert joined[-1] == pytest.approx(0.5, abs=1e-6)


def test_channels_that_cancel_each_other_late(tmp_path):
    """The first block alone would be averaged."""
    left = sound()
    left[BLOCK:] *= 2
    right = np.where(np.arange(LENGTH)[:, None] < BLOCK, left / 100, -left)
    path = written(tmp_path / "x.wav", np.concatenate([left, right], axis=1), RATE, subtype="FLOAT")
    blocks = AudioBlocks(path, RATE)
    with pytest.warns(AudioWarning, match=r"x\.wav: the 2 channels cancel each other .* channel 1"):
        joined = np.concatenate(list(blocks))
    np.testing.assert_array_equal(joined, left[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(blocks)  # it has been said


def test_a_channel_is_taken(tmp_path):
    samples = sound(channels=2)
    path = written(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(np.concatenate(list(AudioBlocks(path, RATE, channel=2))), samples[:, 1])
    with pytest.raises(AudioError, match=r"x\.wav: channel: expected a number from 1 to 2, .* got 3"):
        list(AudioBlocks(path, RATE, channel=3))


def test_nan_in_the_third_block(tmp_path):
    samples = sound()
    samples[2 * BLOCK + 5] = np.nan
    path = written(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    blocks = iter(AudioBlocks(path, RATE))
    np.testing.assert_array_equal(np.concatenate([next(blocks), next(blocks)]), samples[: 2 * BLOCK, 0])
    with pytest.raises(AudioError, match=r"x\.wav: the samples are not all finite"):
        next(blocks)


def test_a_header_of_ten_hours_and_no_sound():
    fmt = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    content = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + fmt + b"data" + struct.pack("<I", 36000 * RATE * 2)
    with pytest.raises(AudioError, match="truncated WAVE file, it promises 1152000000 bytes of sound and has 0"):
        list(AudioBlocks(content, RATE))
    with pytest.raises(AudioError, match="there is no sound: 0 samples"):
        list(AudioBlocks(content, RATE, allow_truncated=True))


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_a_file_that_ends_in_the_middle_of_a_sample(tmp_path, rate):
    path = written(tmp_path / "x.wav", sound(), rate, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-1001])
    with pytest.raises(AudioError, match="truncated WAVE file"):
        list(AudioBlocks(path, RATE))
    joined = np.concatenate(list(AudioBlocks(path, RATE, allow_truncated=True)))
    np.testing.assert_array_equal(joined, read_audio(path, RATE, allow_truncated=True))


def test_a_damaged_flac_gives_what_comes_before(tmp_path):
    path = written(tmp_path / "x.flac", sound(), RATE, "FLAC")
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4 :] = bytes(len(content) - len(content) * 3 // 4)
    path.write_bytes(content)
    blocks, count = iter(AudioBlocks(path, RATE)), 0
    with pytest.raises(AudioError, match=r"x\.flac: truncated or damaged"):
        for block in blocks:
            count += len(block)
    assert count == 2 * BLOCK


def test_the_whole_up_to_a_length(tmp_path):
    path = written(tmp_path / "x.wav", sound(44100), 44100)
    blocks = AudioBlocks(path, RATE)
    np.testing.assert_array_equal(blocks.whole_up_to(RATE), read_audio(path, RATE))
    assert blocks.whole_up_to(RATE - 1) is None
    unknown = io.BytesIO()
    soundfile.write(unknown, sound(RATE), RATE, format="MP3")
    for seconds, is_whole in ((2, True), (0.5, False)):
        assert (AudioBlocks(unknown.getvalue(), RATE).whole_up_to(int(seconds * RATE)) is not None) == is_whole


def test_bad_items_are_refused_at_once(tmp_path):
    with pytest.raises(AudioFileMissingError):
        AudioBlocks(tmp_path / "nope.wav", RATE)
    with pytest.raises(AudioError, match="transpose it"):
        AudioBlocks(np.zeros((2, 100)), RATE)
    with pytest.raises(AudioError, match="turn it round"):
        AudioBlocks((np.zeros(100), RATE), RATE)
