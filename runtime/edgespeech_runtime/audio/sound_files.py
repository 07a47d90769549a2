"""FLAC, Ogg, MP3 and whatever else soundfile can decode: the only module that imports it."""

import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioPackageError
from .formats import MP3, Format
from .samples import Decoded

BLOCK = 2**16  # samples that are decoded at a time
UNKNOWN = 2**62  # samples; streams say 2**63
STDERR = 2  # the number of its file
CHATTER = ("Note: ", "Warning: Xing", "Warning: Encountered", "Warning: Big change")  # libmpg123's lines begin so

_lock = threading.Lock()
Samples = npt.NDArray[np.float32]


class UnreadableError(AudioError):
    """soundfile cannot open a file; another library may."""


def open_sound(
    source: "str | io.BytesIO",
    name: str,
    file_format: Format | None,
    allow_truncated: bool,
    files: contextlib.ExitStack,
) -> Decoded:
    """What soundfile can decode, block by block; it is closed with `files`.

    Raises AudioPackageError without soundfile, UnreadableError for what it cannot open. Blocks raise AudioError where
    it cannot decode any further; all begin with `name`.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, the library that it binds is not
        kind = "which is not a plain WAVE file" if file_format is None else f"which is {file_format.name},"
        raise AudioPackageError(f"reading {name}, {kind}", "soundfile") from error
    quiet = _without_chatter if file_format in (MP3, None) else contextlib.nullcontext
    with quiet():
        try:
            sound = files.enter_context(soundfile.SoundFile(source))
        except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless, by the name's ending
            raise UnreadableError(f"{name}: damaged, or no sound that can be read ({_reason(error)})") from error
    promised = sound.frames if sound.frames < UNKNOWN else None
    blocks = _blocks(sound, name, soundfile.SoundFileError, allow_truncated, quiet)
    return Decoded(sound.samplerate, promised, sound.channels, blocks)


def _blocks(
    sound: Any, name: str, failure: type[Exception], allow_truncated: bool, quiet: Callable[[], Any]
) -> Iterator[Samples]:
    """All samples, `[n, channels]`, until no more come: a damaged header may promise any number of them."""
    promised, count = sound.frames, 0
    is_known = promised < UNKNOWN
    block = np.zeros(0, np.float32)
    while not count or len(block) == BLOCK:
        block = np.full((BLOCK, sound.channels), np.nan, np.float32)
        try:
            with quiet():
                block = sound.read(out=block)
        except failure as error:
            is_end = not is_known and "seek" in _reason(error)  # of FLAC from a pipe, where soundfile seeks the end
            if not is_end and not allow_truncated:
                raise AudioError(f"{name}: truncated or damaged ({_reason(error)})") from error
            is_left = np.isnan(block[:, 0])
            yield block[: int(is_left.argmax()) if is_left.any() else BLOCK]
            return
        count += len(block)
        yield block
        if not count:
            break
    if is_known and count < promised and sound.format != "MP3" and not allow_truncated:  # MP3 may guess
        raise AudioError(f"{name}: truncated, it promises {promised} samples and has {count}")


def _reason(error: Exception) -> str:
    """An error of libsndfile without the path, which the caller names, and without doubts that the file exists."""
    reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return "Format not recognised" if reason.startswith("File does not exist") else reason


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep lines that libmpg123 prints by itself off stderr; what others write there meanwhile comes a little later."""
    with _lock:
        try:
            real = os.dup(STDERR)
        except OSError:  # there is no stderr
            yield
            return
        with tempfile.TemporaryFile() as kept:
            os.dup2(kept.fileno(), STDERR)
            try:
                yield
            finally:
                os.dup2(real, STDERR)
                os.close(real)
                kept.seek(0)
                lines = [line for line in kept.read().splitlines(keepends=True) if not _is_chatter(line)]
                if lines:
                    os.write(STDERR, b"".join(lines))


def _is_chatter(line: bytes) -> bool:
    text = line.decode(errors="replace").strip()
    return not text or text.startswith(CHATTER) or "libmpg123" in text
