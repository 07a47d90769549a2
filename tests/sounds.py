"""Sound files of formats that soundfile cannot write, made on the fly by PyAV and by hand."""

import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16000
MEDIA = {  # by the endings of names: container, codec, sampling rate in Hz
    ".m4a": ("ipod", "aac", RATE),
    ".mp4": ("mp4", "aac", RATE),
    ".mov": ("mov", "aac", RATE),
    ".3gp": ("3gp", "amr_nb", 8000),
    ".aac": ("adts", "aac", RATE),
    ".webm": ("webm", "libopus", 48000),
    ".mkv": ("matroska", "aac", RATE),
    ".wma": ("asf", "wmav2", 16000),
    ".amr": ("amr", "amr_nb", 8000),
    ".avi": ("avi", "mp3", RATE),
    ".ts": ("mpegts", "aac", RATE),
    ".wv": ("wv", "wavpack", RATE),
}


def tone(rate: int = RATE, seconds: float = 1.0, pitch: float = 440.0) -> np.ndarray:
    """A sine, float32 `[samples]`, of half the full scale."""
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def media(
    suffix: str, samples: np.ndarray, rate: int = RATE, video: bool = False, options: dict | None = None
) -> bytes:
    """The bytes of a file of the format that goes by an ending, with `samples` `[samples]` as its sound."""
    import av

    form, codec, own_rate = MEDIA[suffix]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"  # a real file: some formats go back to their beginning when all is known
        with av.open(str(path), "w", format=form, options=options or {}) as container:
            pictures = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p") if video else None
            own = {"bit_rate": 32000} if form == "asf" else {}
            stream = container.add_stream(codec, rate=own_rate, layout="mono", **own)
            if pictures is not None:
                _mux_pictures(container, pictures, int(10 * len(samples) / rate))
            _mux_sound(container, stream, samples, rate, own_rate)
        return path.read_bytes()


def _mux_pictures(container: Any, stream: Any, count: int) -> None:
    import av

    for index in range(count):
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index, np.uint8), format="rgb24")
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def _mux_sound(container: Any, stream: Any, samples: np.ndarray, rate: int, own_rate: int) -> None:
    import av

    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = rate
    resampler, queue = av.AudioResampler(format=stream.format, layout="mono", rate=own_rate), av.AudioFifo()
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        part.pts = None
        queue.write(part)
    size, done = stream.codec_context.frame_size or 1024, 0
    while (part := queue.read(size, partial=True)) is not None:
        part.pts, done = done, done + part.samples
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk of a RIFF file; `size` is what it says of itself, if not the truth."""
    declared = len(content) if size is None else size
    return name + struct.pack("<I", declared) + content + b"\0" * (len(content) % 2)


def wave(tag: int, data: bytes, rate: int = RATE, bits: int = 16, block: int = 2, extra: bytes = b"") -> bytes:
    """A WAVE file of one channel with the format `tag` over `data`."""
    form = chunk(b"fmt ", struct.pack("<HHIIHH", tag, 1, rate, rate * block, block, bits) + extra)
    body = b"WAVE" + form + chunk(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body
