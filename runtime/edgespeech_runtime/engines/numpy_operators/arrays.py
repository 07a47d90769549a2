"""What operators share: the type of an array, and arrays as they lie in memory."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
BLOCK = 2**16  # elements that are worked on at a time: with two or three scratch arrays, they stay in the cache


def flat(x: Array) -> Array:
    """The elements of `x` in the order of memory, as a view; of an array with gaps, as a copy."""
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]) if x.shape[axis] > 1 else 0)
    return x.transpose(order).reshape(-1)


def without_gaps(x: Array) -> Array:
    """`x`, or a copy of it in the same order, so that `flat` gives a view."""
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]) if x.shape[axis] > 1 else 0)
    return x if x.transpose(order).flags.c_contiguous else np.array(x, order="K")


def rows(x: Array, axis: int, out: Array | None) -> tuple[Array, Array, Array]:
    """Prepare work along the axes from `axis` on.

    The result and, as views with two axes, what is read and where the result goes. Where `out` is given it is `x`.
    """
    if not x.flags.c_contiguous:
        x = out = np.array(x, order="C")
    result = np.empty_like(x) if out is None else out
    axis %= max(x.ndim, 1)
    shape = (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:])))
    return result, x.reshape(shape), result.reshape(shape)
