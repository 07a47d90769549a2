"""FLAC, Ogg, MP3 and whatever else soundfile can decode: the only module that imports it."""

import contextlib
import io
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioPackageError
from .formats import MP3, Format

BLOCK = 2**20  # samples that are decoded at a time
STDERR = 2  # the number of its file
CHATTER = ("Note: ", "Warning: Xing", "Warning: Encountered", "Warning: Big change")  # libmpg123's lines begin so

_lock = threading.Lock()
Samples = npt.NDArray[np.float32]


class UnreadableError(AudioError):
    """soundfile cannot open a file; another library may."""


def decode(
    source: "str | io.BytesIO", name: str, found: Format | None, allow_truncated: bool = False
) -> tuple[Samples, int]:
    """What soundfile can decode: float32 `[samples, channels]` and the rate in Hz.

    Raises AudioPackageError without soundfile, UnreadableError for what it cannot open, AudioError for what it cannot
    decode to the end; all begin with `name`.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, the library that it binds is not
        kind = "which is not a plain WAVE file" if found is None else f"which is {found.name},"
        raise AudioPackageError(f"reading {name}, {kind}", "soundfile") from error
    with _without_chatter() if found in (MP3, None) else contextlib.nullcontext():
        try:
            sound = soundfile.SoundFile(source)
        except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless, by the name's ending
            raise UnreadableError(f"{name}: damaged, or no sound that can be read ({_reason(error)})") from error
        with sound:
            return _read(sound, name, soundfile.SoundFileError, allow_truncated), sound.samplerate


def _read(sound: Any, name: str, failure: type[Exception], allow_truncated: bool) -> Samples:
    """All samples, by blocks, because a damaged header may promise any number of them."""
    promised = sound.frames
    is_known = promised < 2**62  # streams say 2**63
    blocks: list[Samples] = []
    while not blocks or len(blocks[-1]) == BLOCK:
        block = np.full((BLOCK, sound.channels), np.nan, np.float32)
        try:
            blocks.append(sound.read(out=block))
        except failure as error:
            is_end = not is_known and "seek" in _reason(error)  # of FLAC from a pipe, where soundfile seeks the end
            if not is_end and not allow_truncated:
                raise AudioError(f"{name}: truncated or damaged ({_reason(error)})") from error
            is_left = np.isnan(block[:, 0])
            blocks.append(block[: int(is_left.argmax()) if is_left.any() else BLOCK])
            break
    samples = np.concatenate(blocks)
    if is_known and len(samples) < promised and sound.format != "MP3" and not allow_truncated:  # MP3 may guess
        raise AudioError(f"{name}: truncated, it promises {promised} samples and has {len(samples)}")
    return samples


def _reason(error: Exception) -> str:
    """An error of libsndfile without the path, which the caller names."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


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
