"""Normalisation layers, https://arxiv.org/abs/1502.03167, 1607.06450 and 1607.08022."""

from collections.abc import Iterable
from math import prod

import numpy as np

from .arrays import BLOCK, Array, rows
from .workers import Workers

SUMMED = 256  # frames: of longer sums in float32, the last digits would be lost


def layer_normalization(
    x: Array,
    scale: Array,
    bias: Array | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    workers: Workers,
    out: Array | None = None,
) -> Array:
    """Zero mean and unit variance over the axes from `axis` on; any shape, kept. `scale` and `bias` have those axes."""
    axis %= x.ndim
    inner = x.shape[axis:]
    scale = np.broadcast_to(scale, inner).reshape(-1)
    bias = None if bias is None else np.broadcast_to(bias, inner).reshape(-1)
    result, source, target = rows(x, axis, out)

    def work(blocks: Iterable[slice]) -> None:
        for block in blocks:
            part = target[block]
            np.subtract(source[block], source[block].mean(-1, keepdims=True), out=part)
            variance = np.square(part).mean(-1, keepdims=True)
            part *= np.reciprocal(np.sqrt(variance + x.dtype.type(epsilon)))
            part *= scale
            if bias is not None:
                part += bias

    workers.share(work, len(source), max(1, BLOCK // max(1, source.shape[1])))
    return result


def instance_normalization(
    x: Array, scale: Array, bias: Array, *, epsilon: float = 1e-5, workers: Workers, out: Array | None = None
) -> Array:
    """(batch, channels, ...) kept: zero mean and unit variance of each channel of each utterance.

    The result is a view of memory in which the channels come last, as `linear.conv` leaves them. Sums over an
    utterance's frames are made in blocks, and those of the blocks in float64: it may have a million frames.
    """
    batch, channels = x.shape[:2]
    source = x.reshape(batch, channels, prod(x.shape[2:])).swapaxes(1, 2)  # (batch, frames, channels)
    if not source.flags.c_contiguous:
        source, out = np.ascontiguousarray(source), None
    target = np.empty_like(source) if out is None else source
    for utterance, result in zip(source, target, strict=True):
        _normalize_frames(utterance, result, scale, bias, epsilon, workers)
    return target.swapaxes(1, 2).reshape(x.shape)


def _normalize_frames(x: Array, result: Array, scale: Array, bias: Array, epsilon: float, workers: Workers) -> None:
    """(frames, channels) -> the same, in `result`, which may be x."""
    frames, channels = x.shape
    block = min(SUMMED, max(1, BLOCK // max(1, channels)))
    sums = np.zeros((-(-frames // block), channels))

    def sum_frames(blocks: Iterable[slice]) -> None:
        for part in blocks:
            sums[part.start // block] = x[part].sum(0)

    def center(blocks: Iterable[slice]) -> None:
        for part in blocks:
            np.subtract(x[part], mean, out=result[part])
            sums[part.start // block] = np.square(result[part]).sum(0)

    def rescale(blocks: Iterable[slice]) -> None:
        for part in blocks:
            result[part] *= factor
            result[part] += bias

    workers.share(sum_frames, frames, block)
    mean = (sums.sum(0) / frames).astype(x.dtype)
    workers.share(center, frames, block)
    factor = (scale / np.sqrt(sums.sum(0) / frames + epsilon)).astype(x.dtype)
    workers.share(rescale, frames, block)


def batch_normalization(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, *, epsilon: float = 1e-5
) -> Array:
    """(batch, channels, ...) kept, by the stored mean and variance of each channel."""
    factor = scale / np.sqrt(variance + x.dtype.type(epsilon))
    shape = (-1, *(1,) * (x.ndim - 2))
    return (x - mean.reshape(shape)) * factor.reshape(shape) + bias.reshape(shape)
