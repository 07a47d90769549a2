"""A reader of RIFF/WAVE files: PCM of 8 to 32 bits and floats of 32 or 64, WAVE_FORMAT_EXTENSIBLE included.

It decompresses nothing and writes nothing. Chunks: "Multimedia Programming Interface and Data Specifications 1.0"
(1991).
"""

import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import AudioError

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
COMPRESSED = {
    0x0002: "ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0055: "MP3",
}
SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of the GUID whose first two bytes are a format tag
UNKNOWN_LENGTH = 0x7FFF0000  # writers to a pipe put 0, or a number near 2**31 or 2**32, for a size they cannot know
WIDEST = 40  # bytes of the largest `fmt ` chunk


class Format(NamedTuple):
    """How samples are stored: PCM or FLOAT, bytes a sample."""

    tag: int
    channels: int
    sampling_rate: int
    width: int


def read_wave(path: str | os.PathLike[str]) -> tuple[npt.NDArray[np.float32], int]:
    """Samples in [-1, 1], float32 `[samples, channels]`, and the sampling rate in Hz.

    Raises AudioError for a file that is damaged, shorter than it says, or compressed.
    """
    with Path(path).open("rb") as stream:
        header = stream.read(12)
        if not header:
            raise AudioError(f"{path}: the file is empty")
        magic, kind = header[:4], header[8:]
        if magic in (b"RF64", b"BW64", b"RIFX"):
            raise AudioError(f"{path}: {magic.decode()} files are not supported: convert it to plain WAVE or FLAC")
        if magic != b"RIFF" or kind != b"WAVE":
            raise AudioError(f"{path}: not a WAVE file, it starts with {header!r}")
        return _read_chunks(stream, path)


def _read_chunks(stream: BinaryIO, path: object) -> tuple[npt.NDArray[np.float32], int]:
    total = os.fstat(stream.fileno()).st_size
    found: Format | None = None
    while len(header := stream.read(8)) == 8:
        name, size = header[:4], int.from_bytes(header[4:], "little")
        start = stream.tell()
        if name == b"data":
            if found is None:
                raise AudioError(f"{path}: damaged WAVE file, its samples come before their format")
            return _decode(stream.read(_sound_size(size, total - start, path)), found), found.sampling_rate
        if name == b"fmt ":
            found = _parse_format(stream.read(min(size, WIDEST)), path)
        stream.seek(start + size + size % 2)  # chunks start at even positions
    raise AudioError(f"{path}: damaged WAVE file, it has no samples (no data chunk in {total} bytes)")


def _sound_size(declared: int, available: int, path: object) -> int:
    if declared == 0 or (declared >= UNKNOWN_LENGTH and declared > available):
        return available
    if declared > available:
        raise AudioError(f"{path}: truncated WAVE file, it promises {declared} bytes of sound and has {available}")
    return declared


def _parse_format(chunk: bytes, path: object) -> Format:
    if len(chunk) < 16:
        raise AudioError(f"{path}: damaged WAVE file, its format takes 16 bytes and has {len(chunk)}")
    tag, channels, sampling_rate, _, block, bits = np.frombuffer(chunk[:16], "<u2,<u2,<u4,<u4,<u2,<u2")[0].item()
    if tag == EXTENSIBLE and chunk[26:40] == SUBFORMAT_TAIL:
        tag = int.from_bytes(chunk[24:26], "little")
    width = (bits + 7) // 8
    if tag not in (PCM, FLOAT):
        name = COMPRESSED.get(tag, f"format 0x{tag:04x}")
        raise AudioError(f"{path}: WAVE files with {name} sound are not supported: convert it to 16-bit PCM")
    if width not in ((1, 2, 3, 4) if tag == PCM else (4, 8)):
        kind = "PCM" if tag == PCM else "float"
        raise AudioError(f"{path}: {bits}-bit {kind} sound is not supported: convert it to 16-bit PCM")
    if channels == 0 or block != channels * width:
        raise AudioError(
            f"{path}: damaged WAVE file, {channels} channels of {bits} bits do not fit blocks of {block} bytes"
        )
    return Format(tag, channels, sampling_rate, width)


def _decode(data: bytes, stored: Format) -> npt.NDArray[np.float32]:
    block = stored.channels * stored.width
    data = data[: len(data) // block * block]  # a last block that is cut off has no meaning
    if stored.tag == FLOAT:
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused later
            return np.frombuffer(data, f"<f{stored.width}").astype(np.float32).reshape(-1, stored.channels)
    integers: npt.NDArray[Any]
    if stored.width == 1:  # the only unsigned one
        integers = np.frombuffer(data, np.uint8) ^ np.uint8(0x80)
        integers = integers.view(np.int8)
    elif stored.width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)  # the three high bytes of 32 bits
        integers = padded.view("<i4")[:, 0]
    else:
        integers = np.frombuffer(data, f"<i{stored.width}")
    samples: npt.NDArray[np.float32] = integers.astype(np.float32) / np.float32(2 ** (8 * integers.itemsize - 1))
    return samples.reshape(-1, stored.channels)
