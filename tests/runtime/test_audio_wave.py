"""The WAVE reader against libsndfile, the standard library's `wave`, and headers written by hand."""

import struct
import wave

import numpy as np
import pytest
import soundfile
from edgespeech_runtime.audio import wave as wave_reader
from edgespeech_runtime.errors import AudioError

RATE = 16000


def noise(channels: int = 1, samples: int = 1001) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 0.999, (samples, channels))


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    declared = len(content) if size is None else size
    return name + struct.pack("<I", declared) + content + b"\0" * (len(content) % 2)


def fmt(tag: int = 1, channels: int = 1, bits: int = 16, rate: int = RATE, block: int | None = None) -> bytes:
    block = channels * ((bits + 7) // 8) if block is None else block
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits))


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def read_wave(path, **options):
    with path.open("rb") as stream:
        return wave_reader.read_wave(stream, path, **options)


@pytest.fixture
def write(tmp_path):
    def to_file(content: bytes):
        (tmp_path / "x.wav").write_bytes(content)
        return tmp_path / "x.wav"

    return to_file


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_equals_libsndfile(tmp_path, container, channels, subtype):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(channels), 22050, subtype=subtype, format=container)
    samples, rate = read_wave(path)
    expected, expected_rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == expected_rate == 22050
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, expected)


def test_equals_the_standard_library(tmp_path):
    path = tmp_path / "x.wav"
    integers = np.random.default_rng(1).integers(-(2**15), 2**15, 4000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(integers.tobytes())
    samples, rate = read_wave(path)
    assert (rate, samples.shape) == (8000, (2000, 2))
    np.testing.assert_array_equal(samples.reshape(-1) * 2**15, integers)


@pytest.mark.parametrize(
    ("bits", "data", "expected"),
    [
        (8, bytes([0, 128, 255]), [-1.0, 0.0, 127 / 128]),
        (16, struct.pack("<3h", -(2**15), 0, 2**15 - 1), [-1.0, 0.0, 1 - 2**-15]),
        (24, b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40", [-1.0, 0.0, 0.5]),
        (32, struct.pack("<3i", -(2**31), 0, 2**30), [-1.0, 0.0, 0.5]),
        (12, struct.pack("<3h", -(2**15), 0, 2**14), [-1.0, 0.0, 0.5]),  # 12 bits stand in 16, at the high end
    ],
)
def test_full_scale_by_hand(write, bits, data, expected):
    samples, _ = read_wave(write(riff(fmt(bits=bits), chunk(b"data", data))))
    np.testing.assert_array_equal(samples[:, 0], np.array(expected, np.float32))


def test_other_chunks_with_odd_sizes_are_passed_over(write):
    data = struct.pack("<4h", 1, 2, 3, 4)
    path = write(
        riff(chunk(b"LIST", b"INFOabc"), fmt(), chunk(b"junk", b"x"), chunk(b"data", data), chunk(b"LIST", b"later"))
    )
    np.testing.assert_array_equal(read_wave(path)[0][:, 0] * 2**15, [1, 2, 3, 4])


def test_an_odd_number_of_bytes_of_sound(write):
    samples, _ = read_wave(write(riff(fmt(bits=8), chunk(b"data", bytes([0, 128, 255])))))
    assert len(samples) == 3


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_stream_of_unknown_length_gives_what_is_there(write, size):
    data = struct.pack("<4h", 1, 2, 3, 4)
    path = write(riff(fmt(), chunk(b"data", data + b"\x05", size=size))[:-1])  # and a last sample that is cut off
    np.testing.assert_array_equal(read_wave(path)[0][:, 0] * 2**15, [1, 2, 3, 4])


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(AudioError) as caught:
        read_wave(path)
    assert str(caught.value) == f"{path}: truncated WAVE file, it promises 2002 bytes of sound and has 1502"


@pytest.mark.parametrize("length", [12, 20, 30, 36, 43])
def test_cut_off_in_the_headers(tmp_path, length):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(AudioError, match="damaged WAVE file"):
        read_wave(path)


def test_compressed_sound_is_left_to_others_by_name(tmp_path):
    for subtype, name in [("MS_ADPCM", "MS ADPCM"), ("IMA_ADPCM", "IMA ADPCM"), ("ALAW", "A-law"), ("ULAW", "mu-law")]:
        path = tmp_path / f"{subtype}.wav"
        soundfile.write(path, noise(), RATE, subtype=subtype, format="WAV")
        assert read_wave(path) == wave_reader.Compressed(name)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(AudioError, match="truncated WAVE file"):
            read_wave(path)


@pytest.mark.parametrize("tag", [0x1234, 0xFFFE])
def test_formats_without_a_name_are_named_by_number(write, tag):
    found = read_wave(write(riff(fmt(tag=tag), chunk(b"data", b"ab"))))
    assert found == wave_reader.Compressed(f"format 0x{tag:04x}")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("kind", [{"format": "WAV", "endian": "BIG"}, {"format": "RF64"}])
def test_rifx_and_rf64_equal_libsndfile(tmp_path, subtype, kind):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(2), RATE, subtype=subtype, **kind)
    assert path.read_bytes()[:4] in (b"RIFX", b"RF64")
    samples, rate = read_wave(path)
    np.testing.assert_array_equal(samples, soundfile.read(path, dtype="float32", always_2d=True)[0])
    assert rate == RATE
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(AudioError, match="truncated WAVE file, it promises"):
        read_wave(path)


@pytest.mark.parametrize(("shift", "mark"), [(8, "little"), (0, "little"), (8, "big"), (0, "big")])
def test_24_bits_in_4_bytes_at_either_end(write, shift, mark):
    values = np.array([0, 2**22, -(2**22), 3, -3], "<i4" if mark == "little" else ">i4")
    content = riff(fmt(bits=24, block=4), chunk(b"data", (values << shift).astype(values.dtype).tobytes()))
    if mark == "big":
        sizes = struct.pack(">I", len(content) - 8), struct.pack(">IHHIIHH", 16, 1, 1, RATE, 4 * RATE, 4, 24)
        content = b"RIFX" + sizes[0] + b"WAVEfmt " + sizes[1] + b"data" + struct.pack(">I", 20) + content[-20:]
    samples, _ = read_wave(write(content))
    np.testing.assert_allclose(samples[:, 0], values / 2**23, rtol=1e-6)


def test_a_block_of_0_is_computed(write):
    path = write(riff(fmt(channels=2, block=0), chunk(b"data", struct.pack("<4h", 1, 2, 3, 4))))
    np.testing.assert_array_equal(read_wave(path)[0] * 2**15, [[1, 2], [3, 4]])


def test_tags_before_the_header_are_passed_over(write):
    tag = b"ID3\x03\x00\x00\x00\x00\x00\x0b" + bytes(11)
    path = write(tag + riff(fmt(), chunk(b"data", struct.pack("<4h", 1, 2, 3, 4))))
    np.testing.assert_array_equal(read_wave(path)[0][:, 0] * 2**15, [1, 2, 3, 4])


@pytest.mark.parametrize("later", [[b"LIST"], [b"LIST", b"bext"], [b"id3 "]])
def test_metadata_behind_no_sound_is_not_sound(write, later):
    path = write(riff(fmt(), chunk(b"data", b""), *(chunk(name, b"INFOISFT\x04\0\0\0abcd1") for name in later)))
    samples, rate = read_wave(path)
    assert (samples.shape, rate) == ((0, 1), RATE)


def test_sound_in_a_second_chunk_counts(write):
    path = write(riff(fmt(), chunk(b"data", b""), chunk(b"data", struct.pack("<2h", 1, 2))))
    np.testing.assert_array_equal(read_wave(path)[0][:, 0] * 2**15, [1, 2])


def test_what_is_there_of_a_truncated_file(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(), RATE, subtype="PCM_16")
    whole, _ = read_wave(path)
    path.write_bytes(path.read_bytes()[:-501])
    samples, _ = read_wave(path, allow_truncated=True)
    np.testing.assert_array_equal(samples, whole[:-251])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (riff(fmt(bits=64), chunk(b"data", b"ab")), "64-bit PCM sound is not supported"),
        (riff(fmt(bits=0), chunk(b"data", b"ab")), "0-bit PCM sound is not supported"),
        (riff(fmt(tag=3, bits=16), chunk(b"data", b"ab")), "16-bit float sound is not supported"),
        (riff(fmt(channels=0), chunk(b"data", b"ab")), "damaged WAVE file, 0 channels"),
        (riff(fmt(block=3), chunk(b"data", b"ab")), "damaged WAVE file, 1 channels of 16 bits do not fit blocks of 3"),
        (riff(chunk(b"data", b"ab"), fmt()), "damaged WAVE file, its samples come before their format"),
        (riff(chunk(b"fmt ", b"short")), "damaged WAVE file, its format takes 16 bytes and has 5"),
        (riff(fmt()), "damaged WAVE file, it has no samples"),
        (b"RF64" + riff(fmt())[4:], "damaged WAVE file, it has no samples"),
        (b"RIFF\0\0\0\0AVI ", r"not a WAVE file, it starts with b'RIFF\x00\x00\x00\x00AVI '"),
        (b"once upon a time", r"not a WAVE file, it starts with b'once upon a '"),
        (b"", "the file is empty"),
    ],
)
def test_bad_files_are_named(write, content, message):
    path = write(content)
    with pytest.raises(AudioError) as caught:
        read_wave(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_damaged_file_is_read_or_refused_and_nothing_else(write):
    whole = riff(chunk(b"LIST", b"INFO"), fmt(channels=2), chunk(b"data", bytes(range(64))))
    random = np.random.default_rng(0)
    outcomes = set()
    for _ in range(500):
        content = bytearray(whole)
        for position in random.integers(0, len(whole) - 64, 2):
            content[position] = random.choice([0, 1, 255, random.integers(256)])
        try:
            read = read_wave(write(bytes(content[: random.integers(20, len(whole) + 60)])))
            outcomes.add("compressed" if isinstance(read, wave_reader.Compressed) else read[0].ndim)
        except AudioError as error:
            outcomes.add("\n" in str(error))
    assert outcomes == {2, False, "compressed"}
