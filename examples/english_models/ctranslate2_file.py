"""Read a CTranslate2 `model.bin` (binary version 6): names and arrays, nothing is run.

Layout, little-endian: u32 version; string specification; u32 revision; u32 count, then per variable: string name, u8
rank, u32 per dimension, u8 type, u32 bytes, data; u32 aliases, then per alias two strings. A string is a u16 length
that counts a closing zero byte. https://opennmt.net/CTranslate2/
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
VERSION = 6


class Reader:
    """A position in the file's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def number(self, code: str) -> int:
        """The next number of struct's `code`."""
        (value,) = struct.unpack_from(f"<{code}", self.data, self.position)
        self.position += struct.calcsize(f"<{code}")
        return int(value)

    def string(self) -> str:
        """The next string."""
        length = self.number("H")
        text = self.data[self.position : self.position + length - 1].decode()
        self.position += length
        return text

    def array(self) -> NDArray[np.generic]:
        """The next shape, type and data."""
        shape = tuple(self.number("I") for _ in range(self.number("B")))
        dtype = np.dtype(TYPES[self.number("B")])
        size = self.number("I")
        values = np.frombuffer(self.data, dtype, size // dtype.itemsize, self.position)
        self.position += size
        return values.reshape(shape)


def read(path: Path) -> dict[str, NDArray[np.generic]]:
    """All variables of `path` by name, aliases included.

    Raises:
        ValueError: another version of the format, or bytes that are left over.
    """
    reader = Reader(path.read_bytes())
    version = reader.number("I")
    if version != VERSION:
        raise ValueError(f"{path}: expected CTranslate2 binary version {VERSION}, got {version}")
    reader.string()  # specification
    reader.number("I")  # its revision
    variables = {}
    for _ in range(reader.number("I")):
        name = reader.string()
        variables[name] = reader.array()
    for _ in range(reader.number("I")):
        alias = reader.string()
        variables[alias] = variables[reader.string()]
    if reader.position != len(reader.data):
        raise ValueError(f"{path}: {len(reader.data) - reader.position} bytes are left over")
    return variables
