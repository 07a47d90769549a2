"""Records on disk, split by a key, so that what belongs together can be loaded together and memory stays bounded."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.void]  # structured: `ids` uint32 [n], and values
Key = npt.NDArray[np.integer]


def records(ids: npt.NDArray[np.integer], **values: npt.NDArray[Any]) -> Records:
    """Join ids `[count, n]` and values `[count]` to records."""
    kinds: list[Any] = [("ids", np.uint32, (ids.shape[1],))]
    kinds += [(name, array.dtype) for name, array in values.items()]
    joined = np.empty(len(ids), kinds)
    joined["ids"] = ids
    for name, array in values.items():
        joined[name] = array
    return joined


class Partitions:
    """Files of records of one kind: `count` of them, those of key k in number k modulo `count`."""

    def __init__(self, folder: Path, name: str, count: int) -> None:
        self._paths = [folder / f"{name}.{number}" for number in range(count)]
        self._kind: np.dtype[np.void] | None = None

    def append(self, added: Records, keys: Key) -> None:
        """Add records, each to the partition of its key."""
        self._kind = added.dtype
        count = len(self._paths)
        if count == 1:
            self._write(0, added)
            return
        numbers = keys % count
        positions = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[positions], np.arange(count), side="right")
        for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            if start < end:
                self._write(number, added[positions[start:end]])

    def load(self, number: int, remove: bool = True) -> Records | None:
        """All records of a partition, and, with `remove`, delete its file; None where there are none."""
        path = self._paths[number]
        if self._kind is None or not path.exists():
            return None
        loaded: Records = np.fromfile(path, self._kind)
        if remove:
            path.unlink()
        return loaded

    def _write(self, number: int, added: Records) -> None:
        with self._paths[number].open("ab") as file:
            added.tofile(file)
