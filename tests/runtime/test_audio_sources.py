"""Pipes, file objects, bytes, pairs, mappings and tensors as sound, and what none of them may be."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from edgespeech_runtime import AudioWarning, load, read_audio
from edgespeech_runtime.audio import is_single, to_waveforms
from edgespeech_runtime.errors import AudioError
from sounds import RATE, media, tone

FORMATS = ["WAV", "FLAC", "OGG", "MP3", "AIFF", "RF64"]


def content(form: str = "WAV", samples: np.ndarray | None = None, rate: int = RATE, **options) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, tone() if samples is None else samples, rate, format=form, **options)
    return target.getvalue()


def to_waveform(item, rate=None, **options):
    (samples,) = to_waveforms([item], rate, RATE, 1, **options)
    return samples


@pytest.fixture(params=FORMATS)
def stored(request, tmp_path):
    """A file of each format, and what is read from it by its path."""
    path = tmp_path / f"x.{request.param.lower()}"
    path.write_bytes(content(request.param))
    return path, read_audio(path, RATE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_read_once_from_front_to_end(stored, tmp_path):
    path, expected = stored
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(path.read_bytes()), daemon=True)
    writer.start()
    np.testing.assert_array_equal(read_audio(tmp_path / "pipe", RATE), expected)
    writer.join(10)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system has no /dev/stdin")
@pytest.mark.parametrize(("source", "form"), [("'/dev/stdin'", "FLAC"), ("sys.stdin.buffer", "WAV")])
def test_stdin_as_a_pipe(source, form):
    code = f"import sys, edgespeech_runtime\nprint(len(edgespeech_runtime.read_audio({source}, {RATE})))"
    done = subprocess.run([sys.executable, "-c", code], input=content(form), capture_output=True, check=True)
    assert int(done.stdout) == RATE


def test_bytes_and_file_objects(stored):
    path, expected = stored
    data = path.read_bytes()
    with path.open("rb") as file:
        for item in (data, bytearray(data), memoryview(data), io.BytesIO(data), file):
            np.testing.assert_array_equal(to_waveform(item), expected)
    np.testing.assert_array_equal(to_waveform({"bytes": data, "path": None}), expected)
    np.testing.assert_array_equal(to_waveform({"bytes": None, "path": str(path)}), expected)


def test_a_file_object_is_read_from_where_it_stands():
    file = io.BytesIO(b"header" + content())
    file.read(6)
    assert len(to_waveform(file)) == RATE


def test_flac_from_a_pipe_has_no_total():
    data = bytearray(content("FLAC"))
    data[21] &= 0xF0  # 36 bits of STREAMINFO: the number of samples
    data[22:26] = bytes(4)
    np.testing.assert_allclose(to_waveform(bytes(data)), tone(), atol=1e-4)


@pytest.mark.parametrize("rate", [RATE, float(RATE), np.int64(RATE), 8000, 44100])
def test_pairs_and_mappings_bring_their_rate(rate):
    expected = to_waveform(tone(int(rate)), rate)
    for item in ((rate, tone(int(rate))), {"array": tone(int(rate)), "sampling_rate": rate, "path": None}):
        np.testing.assert_array_equal(to_waveform(item, 22050), expected)
        assert is_single(item)


def test_a_pair_is_one_recording_and_a_list_of_pairs_several(tiny_bundle, say):
    with load(tiny_bundle()) as model:
        text = model.transcribe(say("A_B")).text
        pair = (16000, say("A_B"))
        assert model.transcribe(pair).text == text
        assert [each.text for each in model.transcribe([pair, say("A_B")])] == [text, text]
        assert [each.text for each in model.transcribe((say("A_B"), say("A_B")))] == [text, text]
        assert model.transcribe({"array": say("A_B"), "sampling_rate": 16000}).text == text
        assert model.logits(pair).ndim == 2


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("seed", range(3))
def test_bytes_of_raw_samples_are_refused(kind, seed):
    random = np.random.default_rng(seed).integers(-3000, 3000, 4000).astype("<i2")
    for samples in (random, np.zeros(4000, "<i2"), np.full(4000, -5, "<i2")):
        with pytest.raises(AudioError, match=rf"got {kind.__name__} that begins with .*: give raw samples as an array"):
            to_waveform(kind(samples.tobytes()))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((tone(), RATE), r"expected a pair \(sampling rate, array\), got \(ndarray, 16000\): turn it round"),
        ((RATE, "x.wav"), "got a file in it, 'x.wav': files have their rate"),
        ({"array": tone()}, 'expected "sampling_rate" beside "array", got none'),
        ({"audio": tone()}, "got 'audio'"),
        ({}, "got an empty one"),
        (io.StringIO("once upon a time"), "expected a file that is open for bytes, got str: open it as 'rb'"),
        (io.BytesIO(), "the file is empty"),
        (b"", "that begins with b''"),
        ("x\0y.wav", r"'x\\x00y.wav' cannot be the name of a file"),
        ("x" * 5000, "cannot be read: File name too long"),
        ("/usr", r"^/usr cannot be read: it is a folder"),
        ("", "'': no such audio file"),
        ({"array": [[0.5], []], "sampling_rate": RATE}, 'expected numbers in "array", got a list of lists'),
        ("/dev/zero", "/dev/zero cannot be read: it is a device, not a file or a pipe"),
        ([[1.0, 2.0], [3.0]], "expected a path or an array of samples, got list"),
        (object(), "expected floats"),
        (np.array([0.0, 1e30]), r"a sample is as large as 1e\+30 where floats in \[-1, 1\] are expected"),
    ],
)
def test_bad_inputs_are_named(item, message):
    with pytest.raises(AudioError, match=message) as caught:
        to_waveform(item)
    assert "\n" not in str(caught.value)


def test_samples_in_a_list_beside_their_rate():
    """As a dataset that went through JSON has them."""
    np.testing.assert_allclose(to_waveform({"array": tone().tolist(), "sampling_rate": RATE}), tone(), atol=1e-7)


def test_a_closed_file_is_named():
    file = io.BytesIO(content())
    file.close()
    with pytest.raises(AudioError, match="BytesIO cannot be read: I/O operation on closed file"):
        to_waveform(file)


def test_a_loud_sample_in_a_file_names_the_file(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([0.0, 1e30, 0.0]), RATE, subtype="DOUBLE")
    with pytest.raises(AudioError, match=r"x.wav: a sample is as large as 1e\+30"):
        read_audio(tmp_path / "x.wav", RATE)


def test_tensors_of_any_kind():
    torch = pytest.importorskip("torch")
    samples = torch.from_numpy(tone())
    for tensor in (samples, samples.clone().requires_grad_(), samples.double(), samples.to(torch.float16)):
        np.testing.assert_allclose(to_waveform(tensor), tone(), atol=1e-3)
    np.testing.assert_allclose(to_waveform(samples.to(torch.bfloat16)), tone(), atol=2e-3)
    np.testing.assert_array_equal(to_waveform((samples * 2**15).to(torch.int16)), np.trunc(tone() * 2**15) / 2**15)
    with pytest.raises(AudioError, match=r"got Tensor .*no data"):
        to_waveform(torch.empty(5, device="meta"))


def test_channels_that_cancel_each_other_do_not_vanish(tmp_path):
    left = tone()
    cases = [np.stack([left, -left], 1), np.stack([left, -0.9 * left], 1)]
    for samples in cases:
        soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
        with pytest.warns(
            AudioWarning, match=r"x.wav: the 2 channels cancel each other in their mean; channel 1 alone"
        ):
            np.testing.assert_allclose(read_audio(tmp_path / "x.wav", RATE), left)
        with pytest.warns(AudioWarning, match="^the 2 channels cancel"):
            np.testing.assert_allclose(to_waveform(samples), left)


def test_other_channels_are_averaged_without_a_warning():
    left, right = tone(), tone(pitch=700)
    noise = np.random.default_rng(0).normal(size=(RATE, 6)).astype(np.float32) / 10
    for samples in (np.stack([left, right], 1), np.stack([left, 0 * left], 1), np.zeros((RATE, 2)), noise):
        np.testing.assert_allclose(to_waveform(samples), samples.mean(axis=1), atol=1e-6)


def test_one_channel_can_be_chosen(tmp_path):
    samples = np.stack([tone(), -tone()], 1)
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    for channel in (1, 2):
        np.testing.assert_allclose(read_audio(tmp_path / "x.wav", RATE, channel=channel), samples[:, channel - 1])
        np.testing.assert_allclose(to_waveform(samples, channel=channel), samples[:, channel - 1])
    np.testing.assert_allclose(to_waveform(tone(), channel=1), tone())
    for channel in (0, 3, -1, True, "left"):
        with pytest.raises(AudioError, match="channel: expected a number from 1 to 2, the channels there are, got"):
            to_waveform(samples, channel=channel)


@pytest.mark.parametrize("suffix", [".m4a", ".webm", ".amr"])
def test_media_from_bytes_and_pipes(suffix):
    pytest.importorskip("av")
    data = media(suffix, tone())
    assert len(to_waveform(data)) == pytest.approx(RATE, abs=1500)
    np.testing.assert_array_equal(to_waveform(io.BytesIO(data)), to_waveform(data))
