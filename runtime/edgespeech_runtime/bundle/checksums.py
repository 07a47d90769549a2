"""Whether a file is the one that the manifest lists, by its size and SHA-256: now, in a thread, or as remembered."""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..choices import Checksums
from ..errors import BundleError, BundleMissingError
from . import cache
from .manifest import MANIFEST_FILE, File

CHUNK = 2**20  # bytes hashed at a time
KIND = "checksums"


class Stamp(NamedTuple):
    """What the file system says of a file, which changes with its content: where it is stored, when it was written."""

    device: int
    number: int
    size: int
    written: int  # nanoseconds, as below
    changed: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Look at a file now. Raises OSError."""
        status = path.stat()
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_same_file(self, other: "Stamp") -> bool:
        """Whether it is the same file, however much was written to it."""
        return self[:2] == other[:2]


class Check:
    """A check that runs in a thread."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check, self._error = check, list[BaseException]()
        self._thread = threading.Thread(target=self._run, name="edgespeech-checksums", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._check()
        except Exception as error:
            self._error.append(error)

    def wait(self) -> None:
        """Return when it has ended. Raises what it raised."""
        self._thread.join()
        if self._error:
            raise self._error[0]


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in lower-case hexadecimal digits, read in chunks."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    with Path(path).open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def check_file(path: Path, name: str, expected: File, checksums: Checksums) -> None:
    """Refuse the file `name` at `path` where it is not the one expected.

    "always" reads it, "never" looks at its size alone, and "once" reads it if it has not been read since it was
    written, which is remembered between processes. Raises BundleMissingError where it is not there, and BundleError.
    """
    if not path.is_file():
        raise BundleMissingError(
            f"{name} is listed in {MANIFEST_FILE} but is not in the bundle: export the bundle again"
        )
    try:
        stamp = Stamp.of(path)
        digest = _digest(path, stamp, expected.sha256, checksums) if stamp.size == expected.bytes else None
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}") from error
    if stamp.size != expected.bytes:
        raise BundleError(
            f"{name} has {stamp.size} bytes where {MANIFEST_FILE} says {expected.bytes}; export the bundle again"
        )
    if digest != expected.sha256:
        raise BundleError(f"{name} does not match its checksum in {MANIFEST_FILE}; export the bundle again")


def _digest(path: Path, stamp: Stamp, expected: str, checksums: Checksums) -> str:
    """SHA-256 of a file, or the one expected where that is to be trusted."""
    if checksums == "never":
        return expected
    key = cache.key(str(path), *map(str, stamp), expected)
    if checksums == "once" and cache.read(KIND, key) is not None:
        return expected
    digest = sha256(path)
    if checksums == "once" and digest == expected:
        cache.write(KIND, key, b"")
    return digest
