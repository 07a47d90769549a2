"""The arrays of rows in NumPy's archives: of one shard, and joined of all. See numpy.lib.format for what a file is."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from edgespeech_calib.corpus.files import write_whole
from edgespeech_calib.corpus.rows import Row
from edgespeech_calib.errors import CorpusError

IDS, EMBEDDINGS = "ids", "embeddings"


class Arrays:
    """The arrays of a shard: vectors together, behind the ids of their rows; others each under its line's number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keep a row's array, if it has one, and say in the row where it will be."""
        if row.array is not None:
            where = {"row": len(self._rows)} if row.array.ndim == 1 else {"key": str(row.line)}
            row.values["array"] = {"file": f"{self._path.parent.name}/{self._path.name}", **where}
            self._rows.append(row)

    def write(self) -> None:
        """Write them, if there are any."""
        arrays: dict[str, Any] = {str(row.line): row.array for row in self._rows}
        if self._rows and self._rows[0].array is not None and self._rows[0].array.ndim == 1:
            ids = np.array([row.values["id"] for row in self._rows])
            arrays = {IDS: ids, EMBEDDINGS: np.stack(list(arrays.values()))}
        if arrays:
            write_whole(self._path, lambda file: np.savez(file, **arrays))


def join(archives: Sequence[Path], target: Path) -> None:
    """Write one archive of those of shards, in their order, holding one shard at a time.

    Vectors stay together: `ids` (rows,) and `embeddings` (rows, size). Others keep their names, the lines' numbers.
    Raises CorpusError for an archive that is damaged, and OSError.
    """

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as joined:
            if archives and EMBEDDINGS in _names(archives[0]):
                for name in (IDS, EMBEDDINGS):
                    _write_rows(joined, name, archives)
                return
            for path in archives:
                for name in _names(path):
                    _write_array(joined, name, _read(path, name))

    write_whole(target, write)


def _write_rows(joined: zipfile.ZipFile, name: str, archives: Sequence[Path]) -> None:
    """One array, whose rows are those of the archives. Texts get the width of the longest."""
    kinds = [(array.shape, array.dtype) for array in _each(name, archives)]
    shape = (sum(rows for (rows, *_), _ in kinds), *kinds[0][0][1:])
    dtype = np.result_type(*(dtype for _, dtype in kinds))
    with joined.open(f"{name}.npy", "w", force_zip64=True) as file:
        npy.write_array_header_2_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
        for array in _each(name, archives):
            file.write(np.ascontiguousarray(array, dtype).tobytes())


def _write_array(joined: zipfile.ZipFile, name: str, array: npt.NDArray[Any]) -> None:
    with joined.open(f"{name}.npy", "w", force_zip64=True) as file:
        npy.write_array(file, array, allow_pickle=False)


def _each(name: str, archives: Sequence[Path]) -> Iterator[npt.NDArray[Any]]:
    for path in archives:
        yield _read(path, name)


def _names(path: Path) -> list[str]:
    with _opened(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _read(path: Path, name: str) -> npt.NDArray[Any]:
    """One array of an archive. Raises CorpusError where it cannot be read."""
    try:
        with _opened(path) as archive, archive.open(f"{name}.npy") as file:
            return np.asarray(npy.read_array(file, allow_pickle=False))
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from None


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> CorpusError:
    return CorpusError(f"{path} is damaged ({' '.join(why.split())}); delete it and its .jsonl, and run again")
