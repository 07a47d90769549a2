"""Matrix products and convolutions. All of them end in BLAS, which has threads of its own."""

from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .arrays import Array

WINDOWS = 2**21  # elements of the windows that are copied at a time, 8 MiB in float32


def matmul(a: Array, b: Array) -> Array:
    """(..., m, k) and (..., k, n) -> (..., m, n); the leading axes broadcast, a single axis is a vector."""
    if b.ndim == 2 and a.ndim > 2:  # one product instead of one for each of a batch
        return (a.reshape(prod(a.shape[:-1]), a.shape[-1]) @ b).reshape(*a.shape[:-1], b.shape[1])
    result: Array = np.matmul(a, b)
    return result


def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803  (ONNX calls it so)
    transB: int = 0,  # noqa: N803
) -> Array:
    """(m, k) and (k, n), or transposed, -> alpha a b + beta c, (m, n), to which `c` broadcasts."""
    product: Array = (a.T if transA else a) @ (b.T if transB else b)
    if alpha != 1:
        product *= product.dtype.type(alpha)
    if c is not None:
        product += c if beta == 1 else c * product.dtype.type(beta)
    return product


def arranged(kernel: Array, *, group: int = 1) -> Array:
    """(channels_out, channels_in / groups, taps) -> (groups, taps, channels_in / groups, channels_out / groups).

    So each group's kernel is the right factor of a product with windows of frames. Done once, when a graph is loaded.
    """
    channels_out, width, taps = kernel.shape
    return np.ascontiguousarray(kernel.reshape(group, channels_out // group, width, taps).transpose(0, 3, 2, 1))


def conv(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: tuple[int, ...] = (1,),
    pads: tuple[int, ...] = (0, 0),
    dilations: tuple[int, ...] = (1,),
    group: int = 1,
) -> Array:
    """(batch, channels_in, frames_in) -> (batch, channels_out, frames), with a kernel as `arranged` gives it.

    Windows of frames, copied some at a time, times the kernel. The result is a view of memory in which the channels
    come last. Raises ValueError where there are fewer frames than the kernel spans.
    """
    (stride,), (dilation,), (before, after) = strides, dilations, pads
    taps, width, width_out = kernel.shape[1:]
    if x.shape[1] != group * width:
        raise ValueError(f"expected {group * width} channels, got {x.shape[1]}")
    frames = (x.shape[2] + before + after - dilation * (taps - 1) - 1) // stride + 1
    if frames < 1:
        raise ValueError(f"{x.shape[2]} frames are fewer than the kernel of {taps} spans")
    x = _channels_last(x, before, after)
    result = np.empty((len(x), frames, group * width_out), x.dtype)
    at_a_time = max(1, WINDOWS // (taps * width))
    for utterance, target in zip(x, result, strict=True):
        channel = utterance.strides[1]
        windows = as_strided(  # (frames, groups, taps, width)
            utterance,
            (frames, group, taps, width),
            (stride * utterance.strides[0], width * channel, dilation * utterance.strides[0], channel),
            writeable=False,
        )
        for start in range(0, frames, at_a_time):
            some = target[start : start + at_a_time]
            for index, matrix in enumerate(kernel.reshape(group, taps * width, width_out)):
                chosen = windows[start : start + at_a_time, index].reshape(len(some), taps * width)
                np.matmul(chosen, matrix, out=some[:, index * width_out : (index + 1) * width_out])
            if bias is not None:
                some += bias
    return result.swapaxes(1, 2)


def _channels_last(x: Array, before: int, after: int) -> Array:
    """(batch, channels, frames) -> (batch, frames, channels) without gaps, with frames of zeros around them."""
    x = x.swapaxes(1, 2)
    if not before and not after:
        return np.ascontiguousarray(x)
    batch, frames, channels = x.shape
    padded = np.zeros((batch, before + frames + after, channels), x.dtype)
    padded[:, before : before + frames] = x
    return padded
