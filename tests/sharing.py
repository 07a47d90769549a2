"""Folders that are written once per run of the tests, by whichever of its processes first needs them.

bundle = once(shared / "bundle", lambda folder: export(checkpoint, folder))
"""

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`, which `make` writes where it is not there; others wait until it is whole. It is to read only."""
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            make(partial)
            partial.rename(folder)
    return folder
