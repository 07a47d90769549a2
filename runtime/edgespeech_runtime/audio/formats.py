"""What a file holds, by its first bytes and not by its name. It decodes nothing."""

import os
from typing import BinaryIO, Literal, NamedTuple

Reader = Literal["wave", "soundfile", "media"]

HEAD = 64  # bytes that are looked at


class Format(NamedTuple):
    """What people call a format, and what reads it: our own WAVE reader, soundfile, or PyAV (`media`)."""

    name: str
    reader: Reader


WAVE = Format("WAVE", "wave")
MP3 = Format("MP3", "soundfile")
OGG = Format("OGG", "soundfile")
FLAC = Format("FLAC", "soundfile")
AIFF = Format("AIFF", "soundfile")
AU = Format("AU", "soundfile")
W64 = Format("Wave64", "soundfile")
CAF = Format("CAF", "soundfile")
NIST = Format("NIST SPHERE", "soundfile")
SVX = Format("8SVX", "soundfile")
AVI = Format("AVI", "media")
AAC = Format("AAC", "media")
AMR = Format("AMR", "media")
MPEG4 = Format("MPEG-4 (m4a, mp4, mov, 3gp)", "media")

MAGIC: dict[bytes, Format] = {
    **dict.fromkeys((b"RIFF", b"RIFX", b"RF64", b"BW64"), WAVE),
    b"fLaC": FLAC,
    b"OggS": OGG,
    b"FORM": AIFF,
    **dict.fromkeys((b".snd", b"dns."), AU),
    bytes.fromhex("726966662e91cf11"): W64,
    b"caff": CAF,
    b"NIST_1A\n": NIST,
    b"Creative Voice File": Format("Creative Voice", "soundfile"),
    bytes.fromhex("1a45dfa3"): Format("WebM or Matroska", "media"),
    bytes.fromhex("3026b2758e66cf11"): Format("Windows Media (wma, wmv)", "media"),
    b"#!AMR": AMR,
    b"ADIF": AAC,
    b"FLV\x01": Format("Flash video", "media"),
    b".RMF": Format("RealMedia", "media"),
    b"MAC ": Format("Monkey's Audio", "media"),
    b"wvpk": Format("WavPack", "media"),
    b"TTA1": Format("True Audio", "media"),
    b"MPCK": Format("Musepack", "media"),
    b"\x0b\x77": Format("AC-3", "media"),
    b"\x00\x00\x01\xba": Format("MPEG program stream", "media"),
}
ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # of MPEG-4, at the fifth byte
TRANSPORT = 188  # bytes of a packet of an MPEG transport stream, each of which starts with 0x47
ID3_HEADER = 10  # bytes


def identify(stream: BinaryIO) -> Format | None:
    """The format of a seekable stream, None for one that is not known here; the stream ends where it begins."""
    start = after_id3(stream)
    stream.seek(start)
    head = stream.read(HEAD)
    stream.seek(start + TRANSPORT)
    is_transport = head[:1] == b"\x47" == stream.read(1)
    stream.seek(0)
    if is_transport:
        return Format("MPEG transport stream", "media")
    return _by_head(head) or (MP3 if start else None)


def _by_head(head: bytes) -> Format | None:
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return AVI
    if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV"):
        return SVX
    if head[4:8] in ATOMS:
        return MPEG4
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # eleven bits: a frame of MPEG audio or AAC
        is_aac = head[1] & 0xF6 == 0xF0
        return AAC if is_aac else MP3 if is_frame(head) else None
    return next((file_format for magic, file_format in MAGIC.items() if head.startswith(magic)), None)


def is_frame(head: bytes) -> bool:
    """Whether four bytes may begin a frame of MPEG audio: known version, layer, bit rate and sampling rate."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return (
        head[0] == 0xFF
        and head[1] >= 0xE0
        and version != 1
        and layer != 0
        and head[2] >> 4 != 15
        and head[2] & 12 != 12
    )


def after_id3(stream: BinaryIO) -> int:
    """The byte behind the ID3v2 tags that a file may begin with, whatever its format: 0 where there are none."""
    start = 0
    while True:
        stream.seek(start)
        head = stream.read(ID3_HEADER)
        if len(head) < ID3_HEADER or head[:3] != b"ID3":
            return start
        size = 0
        for byte in head[6:]:  # seven bits each
            size = size << 7 | byte & 0x7F
        start += ID3_HEADER + size + (ID3_HEADER if head[5] & 0x10 else 0)


def length(stream: BinaryIO) -> int:
    """Bytes of a seekable stream; its position is then its start."""
    count = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return count
