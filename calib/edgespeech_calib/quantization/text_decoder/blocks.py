"""Weights as integers in blocks: each piece of a row has a scale of its own. It knows no graph.

Bytes lie as ONNX Runtime's MatMulNBits and GatherBlockQuantized read them: along the row, of 4-bit numbers the first in
the lower half of a byte.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgespeech_calib.quantization.options import Types

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

LEAST_BLOCK = 16  # columns, of ONNX Runtime's kernels
MOST_PADDING = 16  # a row grows by at most one part in so many, unless its blocks are as small as can be
TINY = np.finfo(np.float32).tiny
ROWS = 4096  # quantized at a time: memory does not grow with the vocabulary
# Rounding to 16 numbers: the largest number of a block need not be one of them. By the largest over the scale; not 7.5,
# which puts it halfway between -8 and -7, where the last bit of float32 would decide.
FOUR_BIT_SPANS = (7.0, 7.7, 8.0, 8.5, 9.0)


@dataclass(frozen=True)
class Scheme:
    """How a number is stored: round(value / scale) + zero, in so many bits.

    Attributes:
        block: the most columns that share a scale.
        zero: the integer that stands for 0.
        limit: largest magnitude of round(value / scale) that is used.
    """

    bits: Literal[8, 4]
    block: int
    zero: int
    limit: int

    @property
    def is_plain(self) -> bool:
        """Whether 0 is stored as the middle of all integers, which engines take for granted."""
        return self.zero == 1 << (self.bits - 1)


# Blocks by measurement: an eighth of the time goes with blocks of 32 instead of 128 in INT8, and 1 dB comes with them.
# In INT4 noise is what matters.
INT8 = Scheme(8, 128, 128, 127)
# Where two products are summed in 16 bits, a weight of 1 to 127 times an activation of at most 127 in magnitude fits.
INT7 = Scheme(8, 128, 64, 63)
INT4 = Scheme(4, 32, 8, 8)


@dataclass(frozen=True)
class Blocks:
    """A matrix (rows, columns) in blocks.

    Attributes:
        integers: (rows, blocks, bytes of a block); columns behind the last are 0.
        scales: (rows, blocks).
        zeros: (rows, blocks), the integers that stand for 0; None for the middle of all.
        columns: of the matrix.
        size: columns of a block.
    """

    integers: Bytes
    scales: Floats
    zeros: Bytes | None
    columns: int
    size: int
    bits: int

    @property
    def is_padded(self) -> bool:
        """Whether there are columns behind the last."""
        return self.columns % self.size != 0


def byte_scheme(types: Types) -> Scheme:
    """Return the scheme of 8 bits for a target."""
    return INT7 if types.reduce_range else INT8


def block_size(columns: int, most: int) -> int:
    """Return the largest power of two, from `LEAST_BLOCK` to `most`, that pads a row by little."""
    size = most
    while size > LEAST_BLOCK and -columns % size * MOST_PADDING > columns:
        size //= 2
    return size


def quantize(matrix: Floats, scheme: Scheme) -> Blocks:
    """Quantize a matrix (rows, columns) by blocks of its rows."""
    rows, columns = matrix.shape
    size = block_size(columns, scheme.block)
    count = -(-columns // size)
    integers = np.empty((rows, count, size * scheme.bits // 8), np.uint8)
    scales = np.empty((rows, count), np.float32)
    for start in range(0, rows, ROWS):
        part = slice(start, start + ROWS)
        padded = np.zeros((len(matrix[part]), count * size), np.float32)
        padded[:, :columns] = matrix[part]
        blocks = padded.reshape(-1, count, size)
        scales[part] = _four_bit_scales(blocks) if scheme.bits == 4 else np.abs(blocks).max(2) / scheme.limit
        # A block of zeros has no scale, and one of numbers that have almost no bits left has none that divides well.
        scales[part][np.abs(scales[part]) < TINY] = 1.0
        integers[part] = _packed(_rounded(blocks, scales[part], scheme), scheme)
    zeros = None if scheme.is_plain else np.full(scales.shape, scheme.zero, np.uint8)
    return Blocks(integers, scales, zeros, columns, size, scheme.bits)


def _rounded(blocks: Floats, scales: Floats, scheme: Scheme) -> Floats:
    """(rows, blocks, columns) over their scales, whole numbers; 4 bits reach from -8 to 7."""
    most = scheme.limit if scheme.bits == 8 else scheme.limit - 1
    rounded: Floats = np.rint(blocks / scales[:, :, None]).clip(-scheme.limit, most)
    return rounded


def _packed(rounded: Floats, scheme: Scheme) -> Bytes:
    integers: Bytes = (rounded + scheme.zero).astype(np.uint8)
    if scheme.bits == 4:
        integers = integers[..., 0::2] | np.left_shift(integers[..., 1::2], np.uint8(4))
    return integers


def _four_bit_scales(blocks: Floats) -> Floats:
    """Of each block, the scale with the least square error among a few; -8, one more than 7, is on the larger side."""
    peak = np.abs(blocks).argmax(2)[:, :, None]
    largest: Floats = np.take_along_axis(blocks, peak, 2)[:, :, 0]
    peaks: Floats = np.where(np.abs(largest) < TINY, np.float32(1), largest)
    units = blocks / peaks[:, :, None]  # from -1 to 1, so that squares are in range
    best = np.zeros_like(largest)
    least = np.full_like(largest, np.inf)
    for span in FOUR_BIT_SPANS:
        scales: Floats = np.full_like(largest, -1 / span)
        errors = np.square(_rounded(units, scales, INT4) * scales[:, :, None] - units).sum(2)
        best = np.where(errors < least, scales, best)
        least = np.minimum(errors, least)
    return best * largest
