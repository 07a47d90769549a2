"""m4a, mp4, webm, wma, amr and whatever else FFmpeg decodes, through PyAV: the only module that imports it."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioPackageError
from .formats import Format

SHORTER = 0.02, 0.2  # a file that lacks more than so much of its length, and more than so many seconds, is cut off
GUESSED = ("aac", "amr", "mp3", "ac3", "mpegts", "mpeg")  # formats whose length is a guess by size and bit rate
MICROSECOND = 1e-6  # FFmpeg's unit of a file's length

Samples = npt.NDArray[np.float32]


def is_installed() -> bool:
    """Whether PyAV can be imported."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def decode(
    source: "str | io.BytesIO", name: str, found: Format | None, allow_truncated: bool = False
) -> tuple[Samples, int]:
    """The first, or the preferred, sound of a file: float32 `[samples, channels]` and the rate in Hz.

    Raises AudioPackageError without PyAV, AudioError for a file that is damaged, cut off or without sound; all begin
    with `name`.
    """
    try:
        import av
    except ImportError as error:
        kind = "sound" if found is None else f"sound of the format {found.name}"
        raise AudioPackageError(f"{name}: {kind}", "av", "media") from error
    try:
        with av.open(source, mode="r", metadata_errors="ignore") as container:
            stream = container.streams.best("audio")
            if stream is None:
                raise AudioError(f"{name}: it has no sound, only {_others(container)}")
            if stream.codec_context is None:
                raise AudioError(f"{name}: its sound is of a kind that FFmpeg does not know")
            samples, rate, failure = _decoded(container, stream, av)
            _require_whole(container, stream, len(samples) / rate if rate else 0.0, name, failure, allow_truncated)
    except (av.FFmpegError, ValueError) as error:  # ValueError: what PyAV itself refuses
        if isinstance(error, AudioError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        kind = "" if found is None else f"{found.name}, "
        raise AudioError(f"{name}: {kind}truncated, damaged, or no sound that can be read ({reason})") from error
    return samples, rate


def _decoded(container: Any, stream: Any, av: Any) -> tuple[Samples, int, Exception | None]:
    """Samples `[samples, channels]`, their rate, and the error that ended them early."""
    parts: list[Samples] = []
    resampler, rate, channels, failure = None, 0, 1, None
    try:
        for frame in container.decode(stream):
            if resampler is None:
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=rate)
            parts += [np.asarray(part.to_ndarray(), np.float32) for part in resampler.resample(frame)]
        if resampler is not None:
            parts += [np.asarray(part.to_ndarray(), np.float32) for part in resampler.resample(None)]
    except av.FFmpegError as error:
        failure = error
    samples = np.concatenate(parts, axis=1).T if parts else np.zeros((0, channels), np.float32)
    return np.ascontiguousarray(samples), rate or stream.rate or 0, failure


def _require_whole(
    container: Any, stream: Any, seconds: float, name: str, failure: Exception | None, allow_truncated: bool
) -> None:
    if allow_truncated and seconds:
        return
    if failure is not None:
        reason = getattr(failure, "strerror", None) or str(failure)
        raise AudioError(f"{name}: truncated or damaged after {seconds:.2f} s of sound ({reason})")
    if container.format.name in GUESSED:
        return
    own = None if stream.duration is None else float(stream.duration * stream.time_base)
    promised = own or (container.duration or 0) * MICROSECOND
    if promised - seconds > max(SHORTER[0] * promised, SHORTER[1]):
        raise AudioError(f"{name}: truncated, it promises {promised:.2f} s of sound and has {seconds:.2f} s")


def _others(container: Any) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) or "a header"
