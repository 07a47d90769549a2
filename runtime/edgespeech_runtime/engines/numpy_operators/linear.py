"""Matrix products and convolutions. All of them end in BLAS, which has threads of its own."""

from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .arrays import Array

FEW_TAPS = 32  # of a kernel for each channel, up to which windows are faster than spectra
IMAGE_AXES = 4  # batch, channels, rows, frames
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
    """(channels_out, channels_in / groups, [1,] taps) -> (groups, taps, channels_in / groups, channels_out / groups).

    So each group's kernel is the right factor of a product with windows of frames. Done once, when a graph is loaded.
    """
    channels_out, width, *_, taps = kernel.shape  # over an image of one row there is an axis of 1 between them
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
    """(batch, channels_in, [1,] frames_in) -> (batch, channels_out, [1,] frames), with a kernel as `arranged` gives it.

    Windows of frames, copied some at a time, times the kernel; the result is then a view of memory in which the
    channels come last. A long kernel for each channel goes through spectra. Raises ValueError where there are fewer
    frames than the kernel spans.
    """
    if x.ndim == IMAGE_AXES:
        sides = (pads[1], pads[3])
        row = conv(x[:, :, 0], kernel, bias, strides=strides[1:], pads=sides, dilations=dilations[1:], group=group)
        return row[:, :, None]
    (stride,), (dilation,), (before, after) = strides, dilations, pads
    taps, width, width_out = kernel.shape[1:]
    if x.shape[1] != group * width:
        raise ValueError(f"expected {group * width} channels, got {x.shape[1]}")
    frames = (x.shape[2] + before + after - dilation * (taps - 1) - 1) // stride + 1
    if frames < 1:
        raise ValueError(f"{x.shape[2]} frames are fewer than the kernel of {taps} spans")
    if width == width_out == stride == dilation == 1 and taps > FEW_TAPS:
        filtered = _filtered(np.pad(x, ((0, 0), (0, 0), (before, after))), kernel[:, :, 0, 0], frames)
        return filtered if bias is None else filtered + bias[:, None]
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


def _filtered(x: Array, kernel: Array, frames: int) -> Array:
    """Correlate each channel of x (batch, channels, frames_in) with its kernel (channels, taps), in float64."""
    size = 1 << (x.shape[2] - 1).bit_length()  # what wraps around lies behind the `frames` that are wanted
    spectrum = np.fft.rfft(x.astype(np.float64), size) * np.fft.rfft(kernel.astype(np.float64), size).conj()
    return np.fft.irfft(spectrum, size)[:, :, :frames].astype(x.dtype)


def _channels_last(x: Array, before: int, after: int) -> Array:
    """(batch, channels, frames) -> (batch, frames, channels) without gaps, with frames of zeros around them."""
    x = x.swapaxes(1, 2)
    if not before and not after:
        return np.ascontiguousarray(x)
    batch, frames, channels = x.shape
    padded = np.zeros((batch, before + frames + after, channels), x.dtype)
    padded[:, before : before + frames] = x
    return padded
