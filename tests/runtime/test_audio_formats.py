"""Formats beyond plain WAVE: through soundfile, through PyAV, whole and cut off, and what is said of the rest."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from edgespeech_runtime import read_audio
from edgespeech_runtime.errors import AudioError, AudioPackageError
from sounds import MEDIA, RATE, media, tone, wave

COMPRESSED = [("ULAW", 0.02), ("ALAW", 0.02), ("IMA_ADPCM", 0.05), ("MS_ADPCM", 0.05)]


def written(form: str, subtype: str | None = None, seconds: float = 2.0) -> bytes:
    target = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, int(RATE * seconds))
    soundfile.write(target, noise, RATE, format=form, subtype=subtype)
    return target.getvalue()


@pytest.mark.parametrize(("subtype", "bound"), COMPRESSED)
def test_compressed_wave_is_what_soundfile_reads(tmp_path, subtype, bound):
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(pitch=200), RATE, subtype=subtype, format="WAV")
    samples = read_audio(path, RATE)
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32")[0])
    assert np.sqrt(np.mean((samples[:RATE] - tone(pitch=200)) ** 2)) < bound


@pytest.mark.parametrize("form", ["W64", "RF64", "AIFF", "AU", "CAF", "NIST", "VOC"])
def test_other_containers(tmp_path, form):
    soundfile.write(tmp_path / "x", tone(), RATE, format=form, subtype="PCM_16")
    np.testing.assert_allclose(read_audio(tmp_path / "x", RATE), tone(), atol=1e-4)


def test_mp3_in_wave(tmp_path):
    stream = io.BytesIO()
    soundfile.write(stream, tone(), RATE, format="MP3")
    path = tmp_path / "x.wav"
    path.write_bytes(wave(0x55, stream.getvalue(), bits=0, block=1, extra=struct.pack("<HHIHHH", 12, 1, 2, 144, 1, 0)))
    assert np.sqrt(np.mean((read_audio(path, RATE)[:RATE] - tone()) ** 2)) < 0.05


def test_mp3_and_m4a_with_the_wrong_name(tmp_path):
    soundfile.write(tmp_path / "x.mp3", tone(), RATE)
    (tmp_path / "x.mp3").rename(tmp_path / "x.wav")
    assert len(read_audio(tmp_path / "x.wav", RATE)) == RATE


def test_a_format_that_nothing_reads(tmp_path):
    path = tmp_path / "x.wav"
    path.write_bytes(wave(0x1234, bytes(100)))
    with pytest.raises(AudioError, match=r"x.wav: WAVE files with format 0x1234 sound are not supported: convert it"):
        read_audio(path, RATE)


def test_compressed_wave_without_soundfile(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "x.wav", tone(), RATE, subtype="ULAW")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    message = r"x.wav, which is WAVE with mu-law sound, needs the package soundfile: pip install .*\[audio\]"
    with pytest.raises(AudioPackageError, match=message):
        read_audio(tmp_path / "x.wav", RATE)


@pytest.mark.parametrize("suffix", MEDIA)
def test_media_through_pyav(tmp_path, suffix):
    pytest.importorskip("av")
    path = tmp_path / f"x{suffix}"
    path.write_bytes(media(suffix, tone()))
    samples = read_audio(path, RATE)
    assert len(samples) == pytest.approx(RATE, abs=2000)
    spectrum = np.abs(np.fft.rfft(samples[: RATE // 2]))
    assert 2 * spectrum.argmax() == pytest.approx(440, abs=4)  # bins of 2 Hz
    assert 0.3 < np.abs(samples).max() < 0.7


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_video_gives_its_sound(tmp_path, suffix):
    pytest.importorskip("av")
    path = tmp_path / f"x{suffix}"
    path.write_bytes(media(suffix, tone(), video=True))
    assert len(read_audio(path, RATE)) == pytest.approx(RATE, abs=2000)


def test_video_without_sound(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match=r"x.mp4: it has no sound, only video"):
        read_audio(tmp_path / "x.mp4", RATE)


@pytest.mark.parametrize("suffix", MEDIA)
def test_without_pyav_the_format_and_the_extra_are_named(tmp_path, monkeypatch, suffix):
    pytest.importorskip("av")
    (tmp_path / f"x{suffix}").write_bytes(media(suffix, tone()))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioPackageError) as caught:
        read_audio(tmp_path / f"x{suffix}", RATE)
    said = str(caught.value)
    assert said.endswith("needs the package av: pip install edgespeech-runtime[media]")
    assert f"x{suffix}: sound of the format " in said
    assert "damaged" not in said


CUT = [(form, None) for form in ("AIFF", "AU", "CAF", "NIST", "W64", "RF64", "FLAC", "OGG", "MP3", "WAV")]
CUT += [("OGG", "OPUS"), ("AIFF", "PCM_24"), ("WAV", "ULAW"), ("NIST", "ULAW"), ("CAF", "FLOAT")]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
@pytest.mark.parametrize(("form", "subtype"), CUT)
def test_cut_off_files_are_refused_or_taken_when_that_is_allowed(tmp_path, form, subtype, share):
    whole, path = written(form, subtype), tmp_path / "x"
    path.write_bytes(whole)
    samples = read_audio(path, RATE)  # whole: no complaint
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(AudioError, match=r"x: .*(truncated|damaged)") as caught:
        read_audio(path, RATE)
    assert "\n" not in str(caught.value)
    if share < 0.5 and form == "OGG":
        return  # the first pages alone hold no sound
    some = read_audio(path, RATE, allow_truncated=True)
    least = share - 0.15 if form != "OGG" else 0.2  # frames are taken whole; pages of Ogg are of a second or so
    assert least < len(some) / len(samples) < share + 0.05
    count = min(len(some), int(len(samples) * (share - 0.2)))
    np.testing.assert_allclose(some[100:count], samples[100:count], atol=0.02)


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".aac", ".amr", ".wma"])
def test_cut_off_media(tmp_path, suffix):
    pytest.importorskip("av")
    whole = media(suffix, tone(seconds=2))
    (tmp_path / "x").write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(AudioError, match=r"x: truncated"):
        read_audio(tmp_path / "x", RATE)
    assert 0.4 < len(read_audio(tmp_path / "x", RATE, allow_truncated=True)) / (2 * RATE) < 0.65


@pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}, {"movflags": "+frag_keyframe+empty_moov"}])
def test_cut_off_mp4(tmp_path, options):
    pytest.importorskip("av")
    whole = media(".m4a", tone(seconds=2), options=options)
    (tmp_path / "x.m4a").write_bytes(whole)
    assert len(read_audio(tmp_path / "x.m4a", RATE)) == pytest.approx(2 * RATE, abs=2000)
    (tmp_path / "x.m4a").write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(AudioError, match=r"x.m4a: .*truncated") as caught:
        read_audio(tmp_path / "x.m4a", RATE)
    lost = "its index, which stands behind the sound, is missing, and nothing of it can be read without that"
    assert (lost in str(caught.value)) == (not options)
    if not options:  # the encoder writes the index last
        with pytest.raises(AudioError, match=lost):
            read_audio(tmp_path / "x.m4a", RATE, allow_truncated=True)
    else:
        assert len(read_audio(tmp_path / "x.m4a", RATE, allow_truncated=True)) > RATE / 2


def test_formats_that_are_known_by_their_first_bytes(tmp_path):
    for form in ("NIST", "VOC", "CAF", "W64", "SVX"):
        (tmp_path / "x").write_bytes(written(form, "PCM_16"))
        assert len(read_audio(tmp_path / "x", RATE)) == len(read_audio(written(form, "PCM_16"), RATE)) == 2 * RATE


def test_junk_under_a_name_of_sound(tmp_path):
    (tmp_path / "x.mp3").write_bytes(b"junk\n")
    with pytest.raises(AudioError, match=r"x.mp3: damaged, or no sound that can be read \(Format not recognised\)"):
        read_audio(tmp_path / "x.mp3", RATE)


def test_an_mp3_with_other_things_behind_it_is_whole(tmp_path):
    for tail in (b"TAG" + bytes(125), b"APETAGEX" + bytes(56), bytes(1000)):
        (tmp_path / "x.mp3").write_bytes(written("MP3") + tail)
        assert len(read_audio(tmp_path / "x.mp3", RATE)) == pytest.approx(2 * RATE, abs=2000)


def test_libmpg123_writes_nothing_to_stderr(tmp_path):
    whole = written("MP3")
    files = {"cut": whole[: int(len(whole) * 0.6)], "junk": whole[:4000] + bytes(range(256)) * 8 + whole[6000:]}
    code = (
        "import os, sys, edgespeech_runtime\n"
        "for path in sys.argv[1:]:\n"
        "    try: edgespeech_runtime.read_audio(path, 16000, allow_truncated=True)\n"
        "    except edgespeech_runtime.EdgeSpeechRuntimeError: pass\n"
        "os.write(2, b'still here')"
    )
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", code, *(tmp_path / name for name in files)]
    assert subprocess.run(command, check=True, capture_output=True).stderr == b"still here"


@pytest.mark.parametrize("name", ["x.pcm", "x.raw", "x", "x.sw", "x.wav"])
def test_samples_without_a_header_are_no_sound_file(tmp_path, name):
    random = np.random.default_rng(0).integers(-3000, 3000, 40_000).astype("<i2")
    for samples in (random, (tone() * 2**15).astype("<i2")):
        (tmp_path / name).write_bytes(samples.tobytes())
        with pytest.raises(AudioError, match=rf"{name}: (damaged, or no sound|not a WAVE file)"):
            read_audio(tmp_path / name, RATE)
