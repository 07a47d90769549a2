"""Sound files, block by block: which reader takes them, and what they are refused for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import AudioError
from . import cut_off, media, sound_files
from .formats import WAVE, Format, identify
from .samples import Decoded
from .sources import Source
from .wave import Compressed, open_wave


@contextlib.contextmanager
def decoding(source: Source, allow_truncated: bool) -> Iterator[Decoded]:
    """A sound file while it is open. Its blocks come as they are asked for, and so do errors of what stands in them.

    Raises AudioError, which begins with the file's name, for one that is empty, damaged, cut off or no sound; and
    AudioPackageError.
    """
    with contextlib.ExitStack() as files:
        try:
            decoded = _decode(source, allow_truncated, files)
        except OSError as error:
            if isinstance(error, AudioError):
                raise
            raise AudioError(f"{source.name} cannot be read: {error.strerror}") from error
        yield decoded._replace(blocks=_named(decoded, source.name))


def _named(decoded: Decoded, name: str) -> Iterator[sound_files.Samples]:
    """The same blocks; where the file cannot be read any further, the error has its name."""
    try:
        yield from decoded.blocks
    except OSError as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{name} cannot be read: {error.strerror}") from error


def _decode(source: Source, allow_truncated: bool, files: contextlib.ExitStack) -> Decoded:
    stream = files.enter_context(source.open())
    if not stream.read(1):
        raise AudioError(f"{source.name}: the file is empty")
    file_format = identify(stream)
    stored: Compressed | None = None
    if file_format == WAVE:
        wave = open_wave(stream, source.name, allow_truncated)
        if not isinstance(wave, Compressed):
            return wave
        stored = wave
    elif (not allow_truncated or file_format in cut_off.LOST) and (
        lack := cut_off.missing(stream, file_format)
    ) is not None:
        raise AudioError(f"{source.name}: truncated, {lack}")
    if file_format is not None and file_format.reader == "media":
        return media.open_media(source.handed, source.name, file_format, allow_truncated, files)
    return _by_soundfile(source, file_format, stored, allow_truncated, files)


def _by_soundfile(
    source: Source,
    file_format: Format | None,
    stored: Compressed | None,
    allow_truncated: bool,
    files: contextlib.ExitStack,
) -> Decoded:
    kind = file_format if stored is None else Format(f"WAVE with {stored.name} sound", "wave")
    try:
        return sound_files.open_sound(source.handed, source.name, kind, allow_truncated, files)
    except sound_files.UnreadableError as error:
        if file_format is not None and media.is_installed():  # FFmpeg finds some format in anything
            try:
                return media.open_media(source.handed, source.name, kind, allow_truncated, files)
            except AudioError:
                pass
        if stored is not None:
            raise AudioError(
                f"{source.name}: WAVE files with {stored.name} sound are not supported: convert it to 16-bit PCM"
            ) from error
        if file_format is None and Path(source.name).suffix.lower() in (".wav", ".wave"):
            with source.open() as stream:
                raise AudioError(f"{source.name}: not a WAVE file, it starts with {stream.read(12)!r}") from error
        raise AudioError(str(error)) from error.__cause__
