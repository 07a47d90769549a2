"""A reader of WAVE files: PCM of 8 to 32 bits and floats of 32 or 64, in RIFF, RIFX, RF64 and BW64.

It decompresses nothing and writes nothing. Chunks: "Multimedia Programming Interface and Data Specifications 1.0"
(1991); sizes beyond 32 bits: EBU Tech 3306.
"""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import AudioError
from .formats import after_id3, length
from .samples import BLOCK, Decoded

PCM, FLOAT, EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
COMPRESSED = {
    0x0002: "MS ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0055: "MP3",
}
SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of the GUID whose first two bytes are a format tag
UNKNOWN_LENGTH = 0x7FFF0000  # writers to a pipe put 0, or a number near 2**31 or 2**32, for a size they cannot know
ELSEWHERE = 0xFFFFFFFF  # the size stands in the chunk `ds64`
WIDEST = 40  # bytes of the largest `fmt ` chunk
MAGIC = (b"RIFF", b"RIFX", b"RF64", b"BW64")

Order = Literal["little", "big"]
Samples = npt.NDArray[np.float32]


class Format(NamedTuple):
    """How samples are stored: PCM or FLOAT, bits of them that mean something, bytes that each takes."""

    tag: int
    channels: int
    sampling_rate: int
    bits: int
    width: int
    order: Order


class Compressed(NamedTuple):
    """A WAVE file that this reader leaves to others, by what its samples are called."""

    name: str


class Chunk(NamedTuple):
    """Where the content of a chunk lies, in bytes; `size` is what the file says."""

    name: bytes
    start: int
    size: int


def read_wave(stream: BinaryIO, name: object, allow_truncated: bool = False) -> tuple[Samples, int] | Compressed:
    """Samples in [-1, 1], float32 `[samples, channels]`, and the sampling rate in Hz; or what they are compressed by.

    `stream` can be sought. Raises AudioError, which begins with `name`, for a file that is damaged, or shorter than it
    says unless that is allowed.
    """
    sound = open_wave(stream, name, allow_truncated)
    if isinstance(sound, Compressed):
        return sound
    return np.concatenate([np.zeros((0, sound.channels), np.float32), *sound.blocks]), int(sound.rate)


def open_wave(stream: BinaryIO, name: object, allow_truncated: bool = False) -> Decoded | Compressed:
    """The same block by block, which are read of the stream as they are asked for."""
    total, start = length(stream), after_id3(stream)
    if not total:
        raise AudioError(f"{name}: the file is empty")
    stream.seek(start)
    header = stream.read(12)
    if header[:4] not in MAGIC or header[8:] != b"WAVE":
        raise AudioError(f"{name}: not a WAVE file, it starts with {header!r}")
    order: Order = "big" if header[:4] == b"RIFX" else "little"
    stored: Format | Compressed | None = None
    long_size, is_silent = None, False
    while (chunk := _next_chunk(stream, order)) is not None:
        if chunk.name == b"ds64":
            long_size = int.from_bytes(stream.read(16)[8:], "little")
        elif chunk.name == b"fmt ":
            stored = _parse_format(stream.read(min(chunk.size, WIDEST)), order, name)
        elif chunk.name == b"data":
            if stored is None:
                raise AudioError(f"{name}: damaged WAVE file, its samples come before their format")
            is_silent = chunk.size == 0 and _are_chunks(stream, chunk.start, total, order)
            if not is_silent:
                size = _sound_size(chunk, long_size, total - chunk.start, name, allow_truncated)
                return stored if isinstance(stored, Compressed) else _decoded(stream, chunk.start, size, stored)
        stream.seek(chunk.start + chunk.size + chunk.size % 2)  # chunks start at even positions
    if is_silent and isinstance(stored, Format):
        return _decoded(stream, total, 0, stored)
    raise AudioError(f"{name}: damaged WAVE file, it has no samples (no data chunk in {total} bytes)")


def _next_chunk(stream: BinaryIO, order: Order) -> Chunk | None:
    header = stream.read(8)
    return Chunk(header[:4], stream.tell(), int.from_bytes(header[4:], order)) if len(header) == 8 else None


def _are_chunks(stream: BinaryIO, start: int, total: int, order: Order) -> bool:
    """Whether chunks, one or more, fill the file from `start`: then nothing there is sound of unknown length."""
    position = start
    while position + 8 <= total:
        stream.seek(position)
        chunk = _next_chunk(stream, order)
        if chunk is None or not all(32 <= letter < 127 for letter in chunk.name):
            return False
        position = chunk.start + chunk.size + chunk.size % 2
    return position > start and position - total in (0, 1)  # the last may lack the byte that makes it even


def _sound_size(chunk: Chunk, long_size: int | None, available: int, name: object, allow_truncated: bool) -> int:
    """Bytes of sound to read; RF64 has their number in `long_size`."""
    is_long = long_size is not None and chunk.size == ELSEWHERE
    declared = long_size if long_size is not None and is_long else chunk.size
    is_unknown = declared in (0, 2**64 - 1) or (declared >= UNKNOWN_LENGTH and not is_long)
    if 0 < declared <= available:
        return declared
    if is_unknown or allow_truncated:
        return available
    raise AudioError(f"{name}: truncated WAVE file, it promises {declared} bytes of sound and has {available}")


def _parse_format(chunk: bytes, order: Order, name: object) -> Format | Compressed:
    if len(chunk) < 16:
        raise AudioError(f"{name}: damaged WAVE file, its format takes 16 bytes and has {len(chunk)}")
    fields = ("u2", "u2", "u4", "u4", "u2", "u2")
    mark = "<" if order == "little" else ">"
    record = np.frombuffer(chunk[:16], ",".join(mark + field for field in fields))[0].item()
    tag, channels, sampling_rate, _, block, bits = record
    if tag == EXTENSIBLE and chunk[26:40] == SUBFORMAT_TAIL:
        tag = int.from_bytes(chunk[24:26], order)
    least = (bits + 7) // 8
    if tag not in (PCM, FLOAT):
        return Compressed(COMPRESSED.get(tag, f"format 0x{tag:04x}"))
    if least not in ((1, 2, 3, 4) if tag == PCM else (4, 8)):
        kind = "PCM" if tag == PCM else "float"
        raise AudioError(f"{name}: {bits}-bit {kind} sound is not supported: convert it to 16-bit PCM")
    width = block // channels if block and channels else least  # some writers leave the block at 0
    is_fit = channels and (not block or block == channels * width)
    if not is_fit or width not in ((least, 4) if tag == PCM else (least,)) or width < least:
        raise AudioError(
            f"{name}: damaged WAVE file, {channels} channels of {bits} bits do not fit blocks of {block} bytes"
        )
    return Format(tag, channels, sampling_rate, bits, width, order)


def _decoded(stream: BinaryIO, start: int, size: int, stored: Format) -> Decoded:
    """The sound in `size` bytes from `start` on; a last block of channels that is cut off has no meaning."""
    block = stored.channels * stored.width
    count = size // block
    pieces = _Pieces(stream, start, count * block, BLOCK * block)
    return Decoded(stored.sampling_rate, count, stored.channels, _blocks(pieces, stored))


class _Pieces:
    """`size` bytes of a stream from `start` on, in pieces, as often as it is iterated over."""

    def __init__(self, stream: BinaryIO, start: int, size: int, most: int) -> None:
        self._stream, self._start, self._end, self._most = stream, start, start + size, most

    def __iter__(self) -> Iterator[bytes]:
        for position in range(self._start, self._end, self._most):
            self._stream.seek(position)
            yield self._stream.read(min(self._most, self._end - position))


def _blocks(pieces: Iterable[bytes], stored: Format) -> Iterator[Samples]:
    shift = _shift(pieces, stored)
    for piece in pieces:
        yield _samples(piece, stored, shift)


def _samples(data: bytes, stored: Format, shift: int) -> Samples:
    """`[samples, channels]` of the whole blocks of channels that there are."""
    block = stored.channels * stored.width
    data = data[: len(data) // block * block]
    if stored.tag == FLOAT:
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused later
            floats = np.frombuffer(data, f"{_mark(stored)}f{stored.width}").astype(np.float32)
        return floats.reshape(-1, stored.channels)
    integers = _integers(data, stored)
    integers = integers << shift if shift else integers
    samples: Samples = integers.astype(np.float32) / np.float32(2 ** (8 * integers.itemsize - 1))
    return samples.reshape(-1, stored.channels)


def _integers(data: bytes, stored: Format) -> npt.NDArray[Any]:
    """Samples as integers of the type that holds them."""
    if stored.width == 1:  # the only unsigned one
        return (np.frombuffer(data, np.uint8) ^ np.uint8(0x80)).view(np.int8)
    if stored.width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        three = np.frombuffer(data, np.uint8).reshape(-1, 3)
        padded[:, 1:] = three if stored.order == "little" else three[:, ::-1]  # the three high bytes of 32 bits
        return padded.view("<i4")[:, 0]
    return np.frombuffer(data, f"{_mark(stored)}i{stored.width}")


def _shift(pieces: Iterable[bytes], stored: Format) -> int:
    """Bits to shift integers by, so that they fill their type; all of the sound is looked at where that is not clear.

    The standard leaves the low bytes at 0, and some writers leave out the high ones.
    """
    spare = 8 * stored.width - 8 * ((stored.bits + 7) // 8)
    if stored.tag == FLOAT or not spare:
        return 0
    edge, has_low = 2 ** (8 * stored.width - 1 - spare), False
    for piece in pieces:
        integers = _integers(piece[: len(piece) // stored.width * stored.width], stored)
        if len(integers) and not -edge <= int(integers.min()) <= int(integers.max()) < edge:
            return 0
        has_low = has_low or bool((integers & (2**spare - 1)).any())
    return spare if has_low else 0


def _mark(stored: Format) -> str:
    """numpy's mark of the order of bytes."""
    return "<" if stored.order == "little" else ">"
