"""Opening a bundle: folder, manifest, the proof that its files are those that were exported. It runs nothing."""

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from ..choices import Checksums
from ..errors import ArgumentError, BundleError, BundleMissingError
from .checksums import Check, Stamp, check_file
from .manifest import MANIFEST_FILE, Manifest

LARGE = 2**22  # bytes of a file that may be checked while an engine reads it


@dataclass(frozen=True)
class Bundle:
    """A folder whose files have been checked against its manifest.

    Attributes:
        folder: absolute, links followed, so that neither a change of the working folder nor of a link leads elsewhere.
        stamps: each file when it was checked.
        checksums: whether files are read to check them, see `load`.
        running: checks of files that have not ended yet.
    """

    folder: Path
    manifest: Manifest
    stamps: dict[str, Stamp] = field(default_factory=dict, repr=False, compare=False)
    checksums: Checksums = "always"
    running: dict[str, Check] = field(default_factory=dict, repr=False, compare=False)

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
            check_file(path, name, self.manifest.files[name], self.checksums)
            if before is not None:
                self.stamps[name] = before

    def begin_checks(self) -> None:
        """Check small files now; what is large is checked while engines read it, see `end_checks`."""
        for name, file in self.manifest.files.items():
            if file.bytes < LARGE or self.checksums == "never":
                self.check(name)
            else:
                self.running[name] = Check(partial(self.check, name))

    def end_checks(self) -> None:
        """Wait for all checks that run. Raises BundleError where a file is not the one expected."""
        for name in list(self.running):
            self.running.pop(name).wait()

    def check_opened(self, *names: str) -> None:
        """Check files that an engine has just read: those that changed since they were checked are checked again."""
        for name in names:
            if name in self.running:
                self.running.pop(name).wait()
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
    bundle = begin_opening(folder)
    bundle.end_checks()
    return bundle


def begin_opening(folder: str | os.PathLike[str], checksums: Checksums = "always") -> Bundle:
    """The same, where large files may be checked still: `Bundle.end_checks` says how that came out.

    For `checksums` see `load`. Raises ArgumentError for an unknown one.
    """
    if checksums not in get_args(Checksums):
        raise ArgumentError(f"checksums: expected 'always', 'once' or 'never', got {checksums!r}")
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
    manifest = Manifest.from_json(_read_manifest(_inside(root, MANIFEST_FILE)))
    bundle = Bundle(root, manifest, checksums=checksums)
    bundle.begin_checks()
    return bundle


def _stamp(path: Path) -> Stamp | None:
    """None for a file that is not there."""
    try:
        return Stamp.of(path)
    except OSError:
        return None


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
