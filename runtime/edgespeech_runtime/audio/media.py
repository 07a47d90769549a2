"""m4a, mp4, webm, wma, amr and whatever else FFmpeg decodes, through PyAV: the only module that imports it."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioPackageError
from .formats import Format
from .samples import BLOCK, Decoded

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


def open_media(
    source: "str | io.BytesIO",
    name: str,
    file_format: Format | None,
    allow_truncated: bool,
    files: contextlib.ExitStack,
) -> Decoded:
    """The first, or the preferred, sound of a file, block by block; it is closed with `files`.

    Raises AudioPackageError without PyAV, AudioError for a file that is damaged or without sound. Blocks raise it where
    the file is damaged or cut off; all begin with `name`.
    """
    try:
        import av
    except ImportError as error:
        kind = "sound" if file_format is None else f"sound of the format {file_format.name}"
        raise AudioPackageError(f"{name}: {kind}", "av", "media") from error

    def refused(error: Exception) -> AudioError:
        reason = getattr(error, "strerror", None) or str(error)
        kind = "" if file_format is None else f"{file_format.name}, "
        return AudioError(f"{name}: {kind}truncated, damaged, or no sound that can be read ({reason})")

    try:
        container = files.enter_context(av.open(source, mode="r", metadata_errors="ignore"))
        stream = container.streams.best("audio")
        if stream is None:
            raise AudioError(f"{name}: it has no sound, only {_others(container)}")
        if stream.codec_context is None:
            raise AudioError(f"{name}: its sound is of a kind that FFmpeg does not know")
        sound = _Sound(container, stream, av)
        first = sound.read()
    except (av.FFmpegError, ValueError) as error:  # ValueError: what PyAV itself refuses
        if isinstance(error, AudioError):
            raise
        raise refused(error) from error

    def blocks() -> Iterator[Samples]:
        block = first
        try:
            while block is not None:
                yield block
                block = sound.read()
            _require_whole(container, stream, sound, name, allow_truncated)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, AudioError):
                raise
            raise refused(error) from error

    promised = _promised(container, stream)
    rate = sound.rate or stream.rate or 0
    return Decoded(rate, round(promised * rate) if promised else None, sound.channels, blocks())


class _Sound:
    """The sound of a container: its rate, its channels, what has been read of it, and the error that ended it early."""

    def __init__(self, container: Any, stream: Any, av: Any) -> None:
        self._frames, self._av = container.decode(stream), av
        self._resampler: Any = None
        self._is_over = False
        self.rate, self.channels, self.count = 0, 1, 0
        self.failure: Exception | None = None

    @property
    def seconds(self) -> float:
        """Of sound that has been read."""
        return self.count / self.rate if self.rate else 0.0

    def read(self) -> Samples | None:
        """The next samples `[n, channels]`; None behind the last."""
        parts: list[Samples] = []
        while not self._is_over and sum(part.shape[1] for part in parts) < BLOCK:
            parts += self._frame()
        if not parts:
            return None
        samples = np.ascontiguousarray(np.concatenate(parts, axis=1).T)
        self.count += len(samples)
        return samples

    def _frame(self) -> list[Samples]:
        """What one more frame gives, `[channels, n]` each."""
        try:
            frame = next(self._frames, None)
            self._is_over = frame is None
            if self._resampler is None:
                if frame is None:
                    return []
                self.rate, self.channels = frame.sample_rate, frame.layout.nb_channels
                self._resampler = self._av.AudioResampler(format="fltp", layout=frame.layout, rate=self.rate)
            return [np.asarray(part.to_ndarray(), np.float32) for part in self._resampler.resample(frame)]
        except self._av.FFmpegError as error:
            self._is_over, self.failure = True, error
            return []


def _require_whole(container: Any, stream: Any, sound: _Sound, name: str, allow_truncated: bool) -> None:
    seconds, failure = sound.seconds, sound.failure
    if allow_truncated and seconds:
        return
    if failure is not None:
        reason = getattr(failure, "strerror", None) or str(failure)
        raise AudioError(f"{name}: truncated or damaged after {seconds:.2f} s of sound ({reason})")
    promised = _promised(container, stream)
    if promised - seconds > max(SHORTER[0] * promised, SHORTER[1]):
        raise AudioError(f"{name}: truncated, it promises {promised:.2f} s of sound and has {seconds:.2f} s")


def _promised(container: Any, stream: Any) -> float:
    """Seconds of sound by the header; 0 where it does not say, or where that is a guess."""
    if container.format.name in GUESSED:
        return 0.0
    own = None if stream.duration is None else float(stream.duration * stream.time_base)
    return own or float((container.duration or 0) * MICROSECOND)


def _others(container: Any) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) or "a header"
