"""Whether a sound file ends before its own headers say: libsndfile reads what is there of most, and says nothing.

AIFF: Apple's "Audio Interchange File Format" (1989). CAF: Apple's "Core Audio Format" (2005). AU: Sun's audio(4).
Wave64: Sonic Foundry (2001). SPHERE: NIST's sphere(5). Ogg: RFC 3533. MPEG audio: ISO 11172-3; the first frame's Xing
header is LAME's. MPEG-4: ISO 14496-12, of which only the index is looked for; FFmpeg tells the rest.
"""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from .formats import AIFF, AU, CAF, MP3, MPEG4, NIST, OGG, W64, Format, after_id3, is_frame, length

UNKNOWN = 0x7FFF0000  # sizes from here on, and 0, are of writers that could not know
OGG_PAGE = 27 + 255 + 255 * 255  # bytes of the largest
OGG_HEADER = 27
ATOM = 8  # bytes of its header in MPEG-4

BIT_RATES = {  # kbit/s by version (1; 2 and 2.5) and layer, for the indices 1 to 14
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz by the version's two bits
HEAD = 256  # bytes in which the Xing header stands
PIECE = 2**18  # bytes that are read at once
XING_SLACK = 0.01  # of the bytes that the first frame promises: editors leave it as it was


def missing(stream: BinaryIO, file_format: Format | None) -> str | None:
    """What a file lacks, "it promises 2002 bytes of sound and has 1502"; None for one that seems whole."""
    check = CHECKS.get(file_format) if file_format is not None else None
    return None if check is None else check(stream, length(stream))


def _promise(promised: int, available: int) -> str | None:
    if promised <= available:
        return None
    return f"it promises {promised} bytes of sound and has {available}"


def _aiff(stream: BinaryIO, total: int) -> str | None:
    stream.seek(12)
    while len(header := stream.read(8)) == 8:
        name, size = struct.unpack(">4sI", header)
        start = stream.tell()
        if name == b"SSND":
            return None if size == 0 or size >= UNKNOWN else _promise(size, total - start)
        stream.seek(start + size + size % 2)
    return "it has no chunk of sound"


def _au(stream: BinaryIO, total: int) -> str | None:
    header = stream.read(12)
    if len(header) < 12:
        return "its header is not whole"
    start, size = struct.unpack(("<" if header[:4] == b"dns." else ">") + "II", header[4:])
    return None if size >= UNKNOWN else _promise(size, max(total - start, 0))


def _wave64(stream: BinaryIO, total: int) -> str | None:
    stream.seek(40)
    while len(header := stream.read(24)) == 24:
        start, size = stream.tell(), int.from_bytes(header[16:], "little") - 24  # the size counts this header
        if header[:4] == b"data":
            return None if size <= 0 or size >= 2**63 else _promise(size, total - start)
        stream.seek(start + max(size, 0) + -size % 8)
    return "it has no chunk of sound"


def _caf(stream: BinaryIO, total: int) -> str | None:
    stream.seek(8)
    while len(header := stream.read(12)) == 12:
        start, size = stream.tell(), int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"data":
            return None if size < 0 else _promise(size, total - start)  # -1: to the end
        stream.seek(start + max(size, 0))
    return "it has no chunk of sound"


def _nist(stream: BinaryIO, total: int) -> str | None:
    """Of samples that are not compressed; the header is text, its second line says how many bytes it has."""
    lines = stream.read(1024).decode("latin-1").splitlines()
    fields = dict(parts[::2] for line in lines if len(parts := line.split(None, 2)) == 3)
    try:
        values = [int(fields[name]) for name in ("sample_count", "channel_count", "sample_n_bytes")]
        start = int(lines[1])
    except (KeyError, ValueError, IndexError):
        return None
    is_compressed = "," in fields.get("sample_coding", "")
    return None if is_compressed else _promise(values[0] * values[1] * values[2], max(total - start, 0))


def _mpeg4(stream: BinaryIO, total: int) -> str | None:
    position = 0
    while position + ATOM <= total:
        stream.seek(position)
        header = stream.read(2 * ATOM)
        size, name = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:  # it stands behind the name
            size = int.from_bytes(header[ATOM:], "big")
        is_whole = position + size <= total
        if name == b"moof" or (name == b"moov" and is_whole) or 0 < size < ATOM:
            return None
        if size == 0 or not is_whole:
            break
        position += size
    return "its index, which stands behind the sound, is missing, and nothing of it can be read without that"


def _ogg(stream: BinaryIO, total: int) -> str | None:
    stream.seek(max(total - 2 * OGG_PAGE, 0))
    tail = stream.read()
    last = tail.rfind(b"OggS")
    if last < 0:
        return None
    page = tail[last:]
    segments = page[OGG_HEADER : OGG_HEADER + page[26]] if len(page) >= OGG_HEADER else b""
    end = OGG_HEADER + len(segments) + sum(segments)
    if len(page) < OGG_HEADER or len(segments) < page[26] or end > len(page):
        return "its last page is not whole"
    rest = page[end:]
    return "its last page is not whole" if rest and b"OggS".startswith(rest) else None


def _mp3(stream: BinaryIO, total: int) -> str | None:
    start = after_id3(stream)
    stream.seek(start)
    promised = _xing_bytes(stream.read(HEAD))
    if promised is not None and promised * (1 - XING_SLACK) > total - start:
        return _promise(promised, total - start)
    last = max(frame_ends(stream, start), default=0)
    return "its last frame is not whole" if last > total else None


def frame_ends(stream: BinaryIO, start: int = 0) -> Iterator[int]:
    """The byte behind each frame from `start` on, of those that follow each other without a gap."""
    position, piece, at = start, b"", start
    while True:
        if position + 4 > at + len(piece):
            stream.seek(position)
            piece, at = stream.read(PIECE), position
        head = piece[position - at : position - at + 4]
        if len(head) < 4 or not is_frame(head) or not (size := _frame_size(head)):
            return
        position += size
        yield position


def _frame_size(head: bytes) -> int:
    """Bytes of a frame; 0 where it does not say."""
    version, layer, index = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3), head[2] >> 4
    if not index:
        return 0
    bits = 1000 * BIT_RATES[1 if version == 3 else 2, layer][index - 1]
    rate, padding = RATES[version][head[2] >> 2 & 3], head[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // rate + padding) * 4
    return (144 if layer == 2 or version == 3 else 72) * bits // rate + padding


def _xing_bytes(content: bytes) -> int | None:
    """Bytes from the first frame to the end, where an encoder has written them."""
    for mark in (b"Xing", b"Info"):
        at = content.find(mark, 4, 48)
        if at >= 0 and len(content) >= at + 16:
            has_frames, has_bytes = content[at + 7] & 1, content[at + 7] & 2
            field = at + 8 + (4 if has_frames else 0)
            return int.from_bytes(content[field : field + 4], "big") if has_bytes else None
    return None


CHECKS: dict[Format, Callable[[BinaryIO, int], str | None]] = {
    AIFF: _aiff,
    AU: _au,
    CAF: _caf,
    W64: _wave64,
    NIST: _nist,
    OGG: _ogg,
    MP3: _mp3,
    MPEG4: _mpeg4,
}
LOST: tuple[Format, ...] = (MPEG4,)  # formats of which nothing can be read if their check says that something lacks
