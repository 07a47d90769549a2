"""Weights of the numpy engine: one archive (.npz) that all graphs of a bundle read from, each array once.

An archive may hold a weight narrower than float32, in which everything computes: as float16, or in two parts, integers
`NAME.int8` and their `NAME.scale`, which broadcasts. They are widened here.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BundleError
from .numpy_operators import Array

INTEGERS, SCALE = ".int8", ".scale"  # behind the name of a weight that is stored in two parts

# A weight's name in the archive, a name for the way it is arranged, and the function that does.
Wanted = tuple[str, str, Callable[[Array], Array]]


class Weights:
    """The arrays of one archive that graphs have asked for. Many threads may use one of these."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays: dict[tuple[str, str], Array] = {}
        self._lock = threading.Lock()

    def get(self, wanted: Mapping[str, Wanted]) -> dict[str, Array]:
        """The arrays, read-only, by the keys of `wanted`. Raises BundleError for a name that the archive does not have.

        And OSError, ValueError or BadZipFile where the file is not an archive.
        """
        import zipfile  # here, because it is slow to import

        with self._lock:
            missing = {need[:2]: need for need in wanted.values() if need[:2] not in self._arrays}
            if missing:
                with zipfile.ZipFile(self._path), np.load(self._path, allow_pickle=False) as archive:
                    for key, (name, _, arrange) in missing.items():
                        array = np.ascontiguousarray(arrange(self._widened(archive, name)))
                        array.flags.writeable = False
                        self._arrays[key] = array
            return {local: self._arrays[need[:2]] for local, need in wanted.items()}

    def _widened(self, archive: Mapping[str, Any], name: str) -> Array:
        """A weight in the type that graphs compute in."""
        if name in archive:
            stored: Array = archive[name]
            return stored.astype(np.float32) if stored.dtype == np.float16 else stored
        if name + INTEGERS in archive and name + SCALE in archive:
            return np.asarray(archive[name + INTEGERS].astype(np.float32) * archive[name + SCALE], np.float32)
        raise BundleError(f"{self._path.name} lacks the weight {name!r}: export the bundle again")
