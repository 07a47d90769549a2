"""Parts of sound files are what cutting the whole file gives."""

import numpy as np
import pytest
import soundfile
from edgespeech_calib.speech.audio import FileAudio
from edgespeech_calib.speech.parts import Part, read_part
from edgespeech_runtime import AudioWarning, read_audio
from edgespeech_runtime.errors import AudioError, AudioFileMissingError

RATE = 16000  # Hz


@pytest.fixture
def noise():
    return (0.1 * np.random.default_rng(0).standard_normal((RATE * 2, 2))).astype(np.float32)


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3"])
def test_a_part_is_cut_out_of_the_whole(tmp_path, noise, name):
    soundfile.write(tmp_path / name, noise[:, 0], RATE)
    whole = read_audio(tmp_path / name, RATE)
    for part, start, stop in [
        (Part(0.5, 1.0), 8000, 24000),
        (Part(1.25), 20000, len(whole)),
        (Part(0.0, 0.1), 0, 1600),
    ]:
        np.testing.assert_allclose(read_part(tmp_path / name, part, RATE), whole[start:stop], atol=2e-4)


def test_one_channel_or_the_mean(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise, RATE, "FLOAT")
    part = slice(8000, 16000)
    found = [read_part(tmp_path / "x.wav", Part(0.5, 0.5, channel), RATE) for channel in (1, 2, None)]
    expected = [noise[part, 0], noise[part, 1], noise[part].mean(axis=1)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_array_equal(read_part(tmp_path / "x.wav", Part(0.5, 0.5), RATE, channel=2), found[1])


def test_channels_that_cancel_each_other_are_told(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", np.stack([noise[:, 0], -noise[:, 0]], axis=1), RATE)
    with pytest.warns(AudioWarning, match="cancel each other"):
        read_part(tmp_path / "x.wav", Part(0.5, 0.5), RATE)


def test_another_rate(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise, 8000)
    assert len(read_part(tmp_path / "x.wav", Part(1.0, 2.0), RATE)) == 2 * RATE


@pytest.mark.parametrize("name", ["x.flac", "x.mp3"])
@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(2.5, 1.0), "the offset 2.5 s lies behind the end of the file"),
        (Part(1.5, 1.0), "the part from 1.5 to 2.5 s ends behind the end of the file"),
    ],
)
def test_a_part_that_is_not_there(tmp_path, noise, name, part, message):
    soundfile.write(tmp_path / name, noise, RATE)
    with pytest.raises(AudioError, match=message) as caught:
        read_part(tmp_path / name, part, RATE)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_manifests_round(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise, RATE)
    assert len(read_part(tmp_path / "x.wav", Part(1.0, 1.05), RATE)) == RATE


def test_files_that_are_none(tmp_path):
    with pytest.raises(AudioFileMissingError):
        read_part(tmp_path / "gone.wav", Part(1.0), RATE)
    with pytest.raises(AudioError, match="it is a folder"):
        read_part(tmp_path, Part(1.0), RATE)
    (tmp_path / "x.wav").write_bytes(b"nothing of the kind")
    with pytest.raises(AudioError, match=r"x\.wav"):
        read_part(tmp_path / "x.wav", Part(1.0), RATE)


def test_a_part_of_a_file_in_a_set(tmp_path, noise):
    soundfile.write(tmp_path / "x.wav", noise, RATE)
    audio = FileAudio(tmp_path / "x.wav", Part(0.5, 1.0))
    assert audio.header().seconds == 1.0
    assert len(audio.read(RATE)) == RATE
