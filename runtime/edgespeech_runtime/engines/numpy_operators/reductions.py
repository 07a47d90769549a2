"""Sums, means and extremes over axes, as ONNX defines them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import Array


def reduced(function: Callable[..., Any]) -> Callable[..., Array]:
    """An operator that reduces with `function(x, axis, keepdims=)`."""

    def reduce(x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        """Reduce over `axes`; none means all of them, or none at all where `noop_with_empty_axes` is 1."""
        if axes is None or np.size(axes) == 0:
            if noop_with_empty_axes:
                return x
            chosen = None
        else:
            chosen = tuple(np.asarray(axes).reshape(-1).tolist())
        return np.asarray(function(x, axis=chosen, keepdims=bool(keepdims)), x.dtype)

    return reduce


def root_of_squares(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Array:
    """The Euclidean norm."""
    norm: Array = np.sqrt(sum_of_squares(x, axis, keepdims))
    return norm


def sum_of_squares(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Array:
    """The square of the Euclidean norm."""
    total: Array = np.square(x).sum(axis=axis, keepdims=keepdims)
    return total


def argmax(x: Array, *, axis: int = 0, keepdims: int = 1) -> Array:
    """Index of the first of the largest along `axis`."""
    index = np.argmax(x, axis)
    return np.asarray(np.expand_dims(index, axis) if keepdims else index, np.int64)


def cumulative_sum(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    """Sums of all elements up to each along `axis`, without itself where `exclusive`, from the end where `reverse`."""
    along = int(axis)
    x = np.flip(x, along) if reverse else x
    total = np.cumsum(x, along, x.dtype)
    total = total - x if exclusive else total
    return np.flip(total, along) if reverse else total
