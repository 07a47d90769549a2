"""Sound files, from paths, pipes, file objects and bytes: which reader takes them, and what they are refused for."""

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioFileMissingError, AudioPackageError
from . import cut_off, media, sound_files
from .formats import WAVE, Format, identify, is_frame
from .samples import one_channel, resample
from .wave import Compressed, read_wave

AudioFile: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Waveform = npt.NDArray[np.float32]
Decoded = tuple[Waveform, int]  # [samples, channels], Hz


@dataclass(frozen=True)
class Source:
    """A file that can be sought: its name for messages, and its path or its content."""

    name: str
    content: str | bytes

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return Path(self.content).open("rb") if isinstance(self.content, str) else io.BytesIO(self.content)

    @property
    def handed(self) -> str | io.BytesIO:
        """What libraries take: a path, which they read by themselves, or a stream."""
        return self.content if isinstance(self.content, str) else io.BytesIO(self.content)


def read_audio(
    file: AudioFile, sampling_rate: int, *, channel: int | None = None, allow_truncated: bool = False
) -> Waveform:
    """Read a sound file as float32 `[samples]` in [-1, 1] at `sampling_rate` Hz; channels are averaged.

    `file` is a path, a file that is open for reading bytes, or the bytes of a whole sound file. Pipes are read once,
    from front to end. `channel` takes one channel instead of the mean of all, 1 is the first; where all cancel each
    other, the loudest is taken, with an AudioWarning. `allow_truncated` takes what is there of a file that is cut off.

    Plain WAVE is read here; FLAC, Ogg, MP3, compressed WAVE and whatever else soundfile knows need the extra `audio`,
    as does another sampling rate; m4a, mp4, webm, wma, amr and their like the extra `media`. Raises AudioError for a
    file that is empty, damaged, cut off or no sound; AudioFileMissingError; AudioPackageError.
    """
    source = _source(file)
    try:
        samples, rate = _decode(source, allow_truncated)
    except OSError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{source.name} cannot be read: {error.strerror}") from error
    try:
        return resample(one_channel(samples, channel, source.name), rate, sampling_rate)
    except AudioPackageError:
        raise
    except AudioError as error:
        raise AudioError(f"{source.name}: {error}") from None


def _source(file: Any) -> Source:
    """Raises AudioError for what cannot be read, and for bytes that are no file's."""
    if isinstance(file, bytes | bytearray | memoryview):
        return Source("bytes", _checked(bytes(file), type(file).__name__))
    if not isinstance(file, str | os.PathLike):
        return _from_stream(file)
    name = os.fspath(file)
    try:
        kind = Path(name).stat().st_mode
        if stat.S_ISDIR(kind):
            raise AudioError(f"{name} cannot be read: it is a folder")
        if stat.S_ISREG(kind):
            return Source(name, name)
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            return Source(name, Path(name).read_bytes())  # once, from front to end
    except FileNotFoundError:
        raise AudioFileMissingError(name) from None
    except ValueError as error:  # a NUL, or what the file system has no letters for
        raise AudioError(f"{name!r} cannot be the name of a file: {error}") from None
    except OSError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{name} cannot be read: {error.strerror}") from error
    raise AudioError(f"{name} cannot be read: it is a device, not a file or a pipe")


def _from_stream(file: Any) -> Source:
    given = getattr(file, "name", None)
    name = given if isinstance(given, str) else type(file).__name__
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: it is closed, or its text is no text
        raise AudioError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(content, bytes | bytearray | memoryview):
        raise AudioError(
            f"{name}: expected a file that is open for bytes, got {type(content).__name__}: open it as 'rb'"
        )
    return Source(name, bytes(content))


def _checked(content: bytes, kind: str) -> bytes:
    """The same if it is the content of a sound file: samples without a header say neither type nor rate."""
    found = identify(io.BytesIO(content))
    start = content[:4]
    is_certain = found is not None and not (start[:1] == b"\xff" and not _continues(content))
    if not is_certain:
        raise AudioError(
            f"expected a path, an array of samples or the bytes of a sound file, got {kind} that begins with "
            f"{content[:8]!r}: give raw samples as an array, numpy.frombuffer(data, 'int16') for instance"
        )
    return content


def _continues(content: bytes) -> bool:
    """Whether bytes that begin as a frame of MPEG audio do go on with another."""
    if not is_frame(content[:4]):  # AAC, whose frames say their length in 13 bits
        size = int.from_bytes(content[3:6], "big") >> 5 & 0x1FFF
        return size > 0 and content[size : size + 2] == content[:2]
    ends = list(cut_off.frame_ends(content[: 2**14]))
    return len(ends) > 1


def _decode(source: Source, allow_truncated: bool) -> Decoded:
    with source.open() as stream:
        if not stream.read(1):
            raise AudioError(f"{source.name}: the file is empty")
        found = identify(stream)
        stored: Compressed | None = None
        if found == WAVE:
            wave = read_wave(stream, source.name, allow_truncated)
            if not isinstance(wave, Compressed):
                return wave
            stored = wave
        elif not allow_truncated and (lack := cut_off.missing(stream, found)) is not None:
            raise AudioError(f"{source.name}: truncated, {lack}")
    if found is not None and found.reader == "media":
        return media.decode(source.handed, source.name, found, allow_truncated)
    return _by_soundfile(source, found, stored, allow_truncated)


def _by_soundfile(source: Source, found: Format | None, stored: Compressed | None, allow_truncated: bool) -> Decoded:
    kind = found if stored is None else Format(f"WAVE with {stored.name} sound", "wave")
    try:
        return sound_files.decode(source.handed, source.name, kind, allow_truncated)
    except sound_files.UnreadableError as error:
        if found is not None and media.is_installed():  # FFmpeg finds some format in anything
            try:
                return media.decode(source.handed, source.name, kind, allow_truncated)
            except AudioError:
                pass
        if stored is not None:
            raise AudioError(
                f"{source.name}: WAVE files with {stored.name} sound are not supported: convert it to 16-bit PCM"
            ) from error
        if found is None and Path(source.name).suffix.lower() in (".wav", ".wave"):
            with source.open() as stream:
                raise AudioError(f"{source.name}: not a WAVE file, it starts with {stream.read(12)!r}") from error
        raise AudioError(str(error)) from error.__cause__
