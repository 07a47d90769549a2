"""Operators that arrange elements and compute none, as ONNX defines them. Where numpy can, they return views."""

from typing import Any

import numpy as np

from .arrays import Array


def shape(x: Array, *, start: int = 0, end: int | None = None) -> Array:
    """Sizes of the axes from `start` to before `end`, int64."""
    return np.array(np.shape(x)[start:end], np.int64)


def reshape(x: Array, sizes: Array, *, allowzero: int = 0) -> Array:
    """x in other axes: -1 is what remains, and 0 copies the size of x's axis, or means none with `allowzero`."""
    target = sizes.tolist()
    if not allowzero:
        target = [x.shape[axis] if size == 0 else size for axis, size in enumerate(target)]
    if -1 in target and 0 in target:  # numpy cannot tell what remains of nothing
        given = [size for size in target if size != -1]
        target[target.index(-1)] = 0 if 0 not in x.shape else _remaining(x, given)
    return np.asarray(x).reshape(target)


def transpose(x: Array, *, perm: tuple[int, ...] | None = None) -> Array:
    """The axes of x in the order `perm`; None reverses them."""
    return np.transpose(x, perm)


def unsqueeze(x: Array, axes: Array) -> Array:
    """x with axes of size 1 that have these places in the result."""
    return np.expand_dims(x, tuple(np.reshape(axes, -1).tolist()))


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """x without these axes, which have size 1; None means all of size 1."""
    return np.squeeze(x, None if axes is None else tuple(np.reshape(axes, -1).tolist()))


def flatten(x: Array, *, axis: int = 1) -> Array:
    """Two axes: those before `axis`, and those from it on."""
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:])))


def expand(x: Array, sizes: Array) -> Array:
    """x repeated along axes of size 1 and new ones in front, so that it broadcasts with `sizes`; a view."""
    return np.broadcast_to(x, np.broadcast_shapes(np.shape(x), tuple(sizes.tolist())))


def tile(x: Array, repeats: Array) -> Array:
    """x repeated so many times along each axis."""
    return np.tile(x, repeats.tolist())


def concat(*parts: Array, axis: int) -> Array:
    """The parts one after another along `axis`."""
    return np.concatenate(parts, axis)


def split(x: Array, sizes: Array | None = None, *, axis: int = 0, num_outputs: int | None = None) -> tuple[Array, ...]:
    """Parts of these sizes along `axis`, or `num_outputs` alike, of which the last may be smaller; views."""
    length = x.shape[axis]
    if sizes is None:
        step = -(-length // (num_outputs or 1))
        ends = [min(step * index, length) for index in range(1, (num_outputs or 1) + 1)]
    else:
        ends = np.cumsum(sizes).tolist()
        if (ends[-1] if ends else 0) != length:
            raise ValueError(f"sizes {sizes.tolist()} do not sum to {length}")
    return tuple(np.split(x, ends[:-1], axis))


def slice_(x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Array:
    """x from starts to before ends along `axes` (None: the first ones), in steps; beyond an edge is at it. A view."""
    count = len(starts)
    along = range(count) if axes is None else axes.tolist()
    by = [1] * count if steps is None else steps.tolist()
    chosen = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, starts.tolist(), ends.tolist(), by, strict=True):
        chosen[axis] = _slice(x.shape[axis], start, end, step)
    return x[tuple(chosen)]


def pad(
    x: Array, pads: Array, value: Array | None = None, axes: Array | None = None, *, mode: str = "constant"
) -> Array:
    """x with `value` (None: zero) before and behind it along `axes` (None: all); what is negative cuts off."""
    if mode != "constant":
        raise ValueError(f"mode: expected constant, got {mode!r}")
    along = list(range(x.ndim)) if axes is None else axes.tolist()
    before, behind = [0] * x.ndim, [0] * x.ndim
    for index, axis in enumerate(along):
        before[axis], behind[axis] = int(pads[index]), int(pads[len(along) + index])
    sizes = [first + size + last for first, size, last in zip(before, x.shape, behind, strict=True)]
    if min(sizes, default=0) < 0:
        raise ValueError(f"pads {pads.tolist()} cut off more than there is of {list(x.shape)}")
    kept = tuple(
        slice(max(0, -first), max(max(0, -first), size - max(0, -last)))
        for first, size, last in zip(before, x.shape, behind, strict=True)
    )
    if max((*before, *behind), default=0) <= 0:
        return x[kept]
    result = np.full(sizes, 0 if value is None else value, x.dtype)
    inner = x[kept]
    inside = (slice(max(0, first), max(0, first) + size) for first, size in zip(before, inner.shape, strict=True))
    result[tuple(inside)] = inner
    return result


def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """Entries of x along `axis`, in the place of which stand the axes of `indices`; negative ones count from the end.

    Raises IndexError for an index beyond the axis.
    """
    return np.take(x, indices, axis)


def gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    """(..., n) indices of the first n axes of x behind `batch_dims` common ones -> (..., what is there)."""
    if batch_dims == 0:
        return x[tuple(np.moveaxis(indices, -1, 0))]
    batch = indices.shape[:batch_dims]
    pairs = zip(x.reshape(-1, *x.shape[batch_dims:]), indices.reshape(-1, *indices.shape[batch_dims:]), strict=True)
    gathered = np.stack([gather_nd(part, chosen) for part, chosen in pairs])
    return gathered.reshape(*batch, *gathered.shape[1:])


def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """For each index the entry of x along `axis`, at its own place in the other axes."""
    others = tuple(slice(size) for size in indices.shape)
    chosen = tuple(slice(None) if dimension == axis % x.ndim else part for dimension, part in enumerate(others))
    return np.take_along_axis(x[chosen], indices, axis)


def arange(start: Array, limit: Array, delta: Array) -> Array:
    """start, start + delta and so on to before `limit`."""
    first, end, step = (np.asarray(value).item() for value in (start, limit, delta))
    return np.asarray(np.arange(first, end, step), start.dtype)


def constant_of_shape(sizes: Array, *, value: Any = 0.0, dtype: str = "float32") -> Array:
    """An array full of `value`."""
    return np.full(tuple(sizes.tolist()), value, dtype)


def triangle(x: Array, k: Array | None = None, *, upper: int = 1) -> Array:
    """x with zeros below the k-th diagonal, or above it where `upper` is 0."""
    diagonal = 0 if k is None else int(k)
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)


def identity(x: Array) -> Array:
    """x itself."""
    return x


def _slice(length: int, start: int, end: int, step: int) -> slice:
    """What ONNX means by start and end, which it limits to the axis, as a slice of Python's."""
    if step == 0:
        raise ValueError("a step of 0")
    first, last = (0, length) if step > 0 else (-1, length - 1)
    start, end = (value + length if value < 0 else value for value in (start, end))
    if step > 0:
        return slice(min(max(start, first), last), min(max(end, first), last), step)
    start, end = min(max(start, 0), last), min(max(end, first), last)
    return slice(start, None if end < 0 else end, step)


def _remaining(x: Array, sizes: list[int]) -> int:
    product = int(np.prod([size for size in sizes if size]))
    return int(np.prod([size for size in x.shape if size])) // product
