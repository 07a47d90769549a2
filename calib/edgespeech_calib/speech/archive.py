"""A tar archive, compressed or not, that is read from front to back without being unpacked.

Reading members in the order in which they lie there passes over the archive once; going back starts again.
"""

import contextlib
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from edgespeech_calib.errors import DataError, DataMissingError

Member = tuple[int, str, bytes]  # place in the archive, name, content
DAMAGED = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)


class Archive:
    """An archive and a place in it. It is not for several threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: Iterator[tuple[int, tarfile.TarInfo]] = iter(())
        self._open: tarfile.TarFile | None = None
        self._next = 0

    def files(self) -> Iterator[Member]:
        """All regular files but hidden ones, from the beginning. Raises DataError for a damaged archive."""
        self.close()
        while (member := self._advance()) is not None:
            offset, info = member
            if info.isfile() and not any(part.startswith(".") for part in Path(info.name).parts if part != "."):
                yield offset, info.name, self._content(info)

    def content(self, offset: int) -> bytes:
        """The bytes of the member at a place that `files` gave. Raises DataError where the archive has changed."""
        if offset < self._next:
            self.close()
        while (member := self._advance()) is not None:
            if member[0] == offset and member[1].isfile():
                return self._content(member[1])
        raise DataError(f"{self.path} has changed while it was read; run again")

    def close(self) -> None:
        """Let go of the file; the next reading starts at the beginning."""
        if self._open is not None:
            self._open.close()
        self._open, self._next = None, 0

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter may be ending
            self.close()

    def _advance(self) -> tuple[int, tarfile.TarInfo] | None:
        try:
            if self._open is None:
                self._open = tarfile.open(self.path, "r|*")  # noqa: SIM115  # closed by close()
            info = self._open.next()
        except FileNotFoundError:
            raise DataMissingError(f"{self.path}: no such archive") from None
        except DAMAGED as error:
            raise self._damaged(error) from error
        if info is None:
            self.close()
            return None
        self._open.members.clear()  # type: ignore[attr-defined]  # tarfile remembers every member, which nobody asks it for
        self._next += 1
        return self._next - 1, info

    def _content(self, info: tarfile.TarInfo) -> bytes:
        if self._open is None:
            raise DataError(f"{self.path} was closed while it was read")
        try:
            stream = self._open.extractfile(info)
            content = b"" if stream is None else stream.read()
        except DAMAGED as error:
            raise self._damaged(error) from error
        if len(content) != info.size:
            raise self._damaged(EOFError(f"{info.name} ends early"))
        return content

    def _damaged(self, error: Exception) -> DataError:
        reason = " ".join(str(error).split()) or type(error).__name__
        after = f" after {self._next} entries" if self._next else ""
        return DataError(
            f"{self.path} is no tar archive that can be read, or is cut off{after} ({reason}); fetch it again"
        )
