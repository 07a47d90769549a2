"""Opening a bundle: folder, manifest, the proof that its files are those that were exported. It runs nothing."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import BundleError, BundleMissingError
from .manifest import MANIFEST_FILE, File, Manifest

CHUNK = 2**20  # bytes hashed at a time


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


@dataclass(frozen=True)
class Bundle:
    """A folder whose files have been checked against its manifest.

    Attributes:
        folder: absolute, links followed, so that neither a change of the working folder nor of a link leads elsewhere.
        stamps: each file when it was checked.
    """

    folder: Path
    manifest: Manifest
    stamps: dict[str, Stamp] = field(default_factory=dict, repr=False, compare=False)

    def path(self, name: str) -> Path:
        """Where the file `name` of the manifest lies."""
        return self.folder / name

    def arrays(self, name: str, *keys: str) -> list[npt.NDArray[Any]]:
        """The arrays `keys` of a numpy archive (.npz) in the bundle. Raises BundleError where it holds others."""
        import zipfile  # here, because it is slow to import

        self.check(name)
        try:
            with zipfile.ZipFile(self.path(name)), np.load(self.path(name), allow_pickle=False) as archive:
                return [archive[key] for key in keys]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(f"{name} cannot be read ({error}): export the bundle again") from error

    def check(self, *names: str) -> None:
        """Check files against the manifest. Raises BundleError for one that is another now, or gone."""
        for name in names:
            path = _inside(self.folder, name)
            before = _stamp(path)
            _check_file(path, name, self.manifest.files[name])
            if before is not None:
                self.stamps[name] = before

    def check_opened(self, *names: str) -> None:
        """Check files that an engine has just read: those that changed since they were checked are checked again."""
        self.check(*(name for name in names if _stamp(self.path(name)) != self.stamps.get(name)))

    def check_in_use(self, *names: str) -> None:
        """Check files that engines hold in memory as they lie: raises BundleError where one was written to meanwhile.

        A file that is gone, or has another in its place, is still there for those who opened it, as it was.
        """
        for name in names:
            now, before = _stamp(self.path(name)), self.stamps.get(name)
            if now is not None and before is not None and now != before and now.is_same_file(before):
                self.check(name)


def open_bundle(folder: str | os.PathLike[str]) -> Bundle:
    """Read the manifest in `folder` and check the size and SHA-256 of every file that it lists.

    Raises BundleMissingError where the folder or a file is not there; BundleError for a manifest that is damaged or
    too new, a file that has changed, and a link that leaves the folder.
    """
    root = Path(folder)
    try:
        is_folder, is_there = root.is_dir(), root.exists()
    except OSError as error:
        raise BundleError(f"{root} cannot be read: {error.strerror}") from error
    if not is_folder:
        if is_there:
            raise BundleError(f"{root} is not a folder: a bundle is a folder with {MANIFEST_FILE} in it")
        raise BundleMissingError(f"{root}: no such bundle")
    if not (root / MANIFEST_FILE).exists():
        raise BundleMissingError(f"{root} is not a bundle: it has no {MANIFEST_FILE}")
    root = root.resolve()
    bundle = Bundle(root, Manifest.from_json(_read_manifest(_inside(root, MANIFEST_FILE))))
    bundle.check(*bundle.manifest.files)
    return bundle


def _stamp(path: Path) -> Stamp | None:
    """None for a file that is not there."""
    try:
        return Stamp.of(path)
    except OSError:
        return None


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file in lower-case hexadecimal digits, read in chunks."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    with Path(path).open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


def _read_manifest(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BundleError(f"{MANIFEST_FILE} is not UTF-8 text: export the bundle again") from None
    except OSError as error:
        raise BundleError(f"{MANIFEST_FILE} cannot be read: {error.strerror}") from error


def _inside(root: Path, name: str) -> Path:
    """The file behind `name`, with links followed, which must lie in the bundle."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise BundleError(f"{name} is a link that leaves the bundle: copy the file itself into {root}")
    return path


def _check_file(path: Path, name: str, expected: File) -> None:
    if not path.is_file():
        raise BundleMissingError(
            f"{name} is listed in {MANIFEST_FILE} but is not in the bundle: export the bundle again"
        )
    try:
        size = path.stat().st_size
        digest = sha256(path) if size == expected.bytes else None
    except OSError as error:
        raise BundleError(f"{name} cannot be read: {error.strerror}") from error
    if size != expected.bytes:
        raise BundleError(
            f"{name} has {size} bytes where {MANIFEST_FILE} says {expected.bytes}; export the bundle again"
        )
    if digest != expected.sha256:
        raise BundleError(f"{name} does not match its checksum in {MANIFEST_FILE}; export the bundle again")
