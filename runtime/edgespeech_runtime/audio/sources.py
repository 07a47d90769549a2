"""Where a sound file comes from: paths, pipes, file objects and bytes, as something that can be read again and again.

It decodes nothing.
"""

import io
import os
import stat
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ..errors import AudioError, AudioFileMissingError
from . import cut_off
from .formats import identify, is_frame

AudioFile: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO

PIECE = 2**20  # bytes that are read of a pipe at once
IN_MEMORY = 2**25  # bytes of a pipe that are kept in memory; more go to a temporary file


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


def is_file(item: Any) -> bool:
    """Whether something is handed over as a file: by path, as bytes, or open."""
    return isinstance(item, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(item, "read")


def open_source(file: Any) -> Source:
    """What `file` names or is; pipes are read once, from front to end, and kept until the source is gone.

    Raises AudioError for what cannot be read, and for bytes that are no file's; AudioFileMissingError.
    """
    if isinstance(file, bytes | bytearray | memoryview):
        return Source("bytes", _checked(bytes(file), type(file).__name__))
    if not isinstance(file, str | os.PathLike):
        given = getattr(file, "name", None)
        return _kept(given if isinstance(given, str) else type(file).__name__, file)
    name = os.fspath(file)
    try:
        kind = os.stat(name).st_mode  # noqa: PTH116  # a Path would make the folder "." of an empty name
        if stat.S_ISDIR(kind):
            raise AudioError(f"{name} cannot be read: it is a folder")
        if stat.S_ISREG(kind):
            return Source(name, name)
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            with Path(name).open("rb") as pipe:
                return _kept(name, pipe)
    except FileNotFoundError:
        raise AudioFileMissingError(name or repr(name)) from None
    except ValueError as error:  # a NUL, or what the file system has no letters for
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{name!r} cannot be the name of a file: {error}") from None
    except OSError as error:
        raise AudioError(f"{name} cannot be read: {error.strerror}") from error
    raise AudioError(f"{name} cannot be read: it is a device, not a file or a pipe")


def _kept(name: str, stream: Any) -> Source:
    """What an open file still holds, in memory, or in a temporary file where that is much."""
    content = bytearray()
    while piece := _piece(name, stream):
        content += piece
        if len(content) > IN_MEMORY:
            return _spooled(name, content, stream)
    return Source(name, bytes(content))


def _spooled(name: str, content: bytearray, stream: Any) -> Source:
    handle, path = tempfile.mkstemp(prefix="edgespeech-")
    source = Source(name, path)
    weakref.finalize(source, Path(path).unlink, missing_ok=True)
    with os.fdopen(handle, "wb") as target:
        target.write(content)
        content.clear()
        while piece := _piece(name, stream):
            target.write(piece)
    return source


def _piece(name: str, stream: Any) -> bytes:
    try:
        piece = stream.read(PIECE)
    except (OSError, ValueError) as error:  # ValueError: it is closed, or its text is no text
        raise AudioError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise AudioError(f"{name}: expected a file that is open for bytes, got {type(piece).__name__}: open it as 'rb'")
    return bytes(piece)


def _checked(content: bytes, kind: str) -> bytes:
    """The same if it is the content of a sound file: samples without a header say neither type nor rate."""
    file_format = identify(io.BytesIO(content))
    start = content[:4]
    is_certain = file_format is not None and not (start[:1] == b"\xff" and not _continues(content))
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
    ends = list(cut_off.frame_ends(io.BytesIO(content[: 2**14])))
    return len(ends) > 1
