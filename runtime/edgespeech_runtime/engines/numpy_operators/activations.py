"""Activation functions and softmax. Large arrays are worked on in blocks that stay in the cache."""

from collections.abc import Callable, Iterable
from math import pi, sqrt

import numpy as np

from .arrays import BLOCK, Array, flat, rows, without_gaps
from .workers import Workers

# erfc(z) = (a1 t + ... + a5 t^5) exp(-z^2), t = 1 / (1 + p z) for z >= 0, to within 1.5e-7:
# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. The highest power comes first here.
ERFC = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
ERFC_P = 0.3275911
FAR = 20.0  # standard deviations: the tail beyond is zero in float32


def gelu(x: Array, *, approximate: str = "none", workers: Workers, out: Array | None = None) -> Array:
    """x times the normal distribution function of x, https://arxiv.org/abs/1606.08415; any shape, kept.

    Or the approximation by tanh that is given there.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate: expected none or tanh, got {approximate!r}")
    return _in_blocks(_gelu if approximate == "none" else _gelu_tanh, x, workers, out)


def erf(x: Array, *, workers: Workers, out: Array | None = None) -> Array:
    """The error function to within 1.5e-7 and the roundings on the way; any shape, kept."""
    return _in_blocks(_erf, x, workers, out)


def sigmoid(x: Array, *, workers: Workers, out: Array | None = None) -> Array:
    """1 / (1 + exp(-x)); any shape, kept."""
    return _in_blocks(_sigmoid, x, workers, out)


def softplus(x: Array, *, workers: Workers, out: Array | None = None) -> Array:
    """log(1 + exp(x)); any shape, kept."""
    return _in_blocks(_softplus, x, workers, out)


def mish(x: Array, *, workers: Workers) -> Array:
    """x tanh(softplus(x)), https://arxiv.org/abs/1908.08681; any shape, kept."""
    return x * np.tanh(softplus(x, workers=workers))


def relu(x: Array, *, out: Array | None = None) -> Array:
    """max(x, 0); any shape, kept."""
    return np.maximum(x, x.dtype.type(0), out=out)


def leaky_relu(x: Array, *, alpha: float = 0.01) -> Array:
    """x, or alpha x below 0; any shape, kept."""
    return np.where(x < 0, x * x.dtype.type(alpha), x)


def prelu(x: Array, slope: Array) -> Array:
    """x, or slope x below 0; `slope` broadcasts to the shape of x."""
    return np.where(x < 0, x * slope, x)


def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """alpha x + beta, limited to [0, 1]; any shape, kept."""
    kind = x.dtype.type
    return np.clip(kind(alpha) * x + kind(beta), kind(0), kind(1))


def hard_swish(x: Array) -> Array:
    """x hard_sigmoid(x) with alpha 1/6, https://arxiv.org/abs/1905.02244; any shape, kept."""
    return x * hard_sigmoid(x, alpha=1 / 6)


def softmax(x: Array, *, axis: int = -1, workers: Workers, out: Array | None = None) -> Array:
    """exp(x) over its sum along `axis`; any shape, kept."""
    return _along(_softmax, x, axis, workers, out)


def log_softmax(x: Array, *, axis: int = -1, workers: Workers, out: Array | None = None) -> Array:
    """The logarithm of softmax; any shape, kept."""
    return _along(_log_softmax, x, axis, workers, out)


def _in_blocks(function: Callable[..., None], x: Array, workers: Workers, out: Array | None) -> Array:
    """Apply `function(x, result, *scratch)` to runs of elements in the order of memory."""
    if (whole := without_gaps(x)) is not x:
        x = out = whole
    result = np.empty_like(x) if out is None else out
    source, target = flat(x), flat(result)

    def work(blocks: Iterable[slice]) -> None:
        scratch = np.empty((3, min(BLOCK, source.size)), x.dtype)
        for block in blocks:
            part = source[block]
            function(part, target[block], *scratch[:, : part.size])

    workers.share(work, source.size, BLOCK)
    return result


def _along(function: Callable[..., None], x: Array, axis: int, workers: Workers, out: Array | None) -> Array:
    """Apply `function(rows, result)` to runs of rows along `axis`."""
    if not x.size:
        return x.copy()
    if axis % x.ndim != x.ndim - 1:
        return np.moveaxis(_along(function, np.moveaxis(x, axis, -1), -1, workers, None), -1, axis)
    result, source, target = rows(x, axis, out)

    def work(blocks: Iterable[slice]) -> None:
        for block in blocks:
            function(source[block], target[block])

    workers.share(work, len(source), max(1, BLOCK // max(1, source.shape[1])))
    return result


def _tail(a: Array, polynomial: Array, density: Array) -> None:
    """a >= 0: density becomes exp(-a^2/2), polynomial erfc(a / sqrt 2) over it; a becomes scratch."""
    kind = a.dtype.type
    np.multiply(a, a, out=density)
    density *= kind(-0.5)
    np.exp(density, out=density)
    a *= kind(ERFC_P / sqrt(2))
    a += kind(1)
    t = np.reciprocal(a, out=a)
    np.multiply(t, kind(ERFC[0]), out=polynomial)
    for coefficient in ERFC[1:]:
        polynomial += kind(coefficient)
        polynomial *= t


def _gelu(x: Array, result: Array, a: Array, polynomial: Array, density: Array) -> None:
    """max(x, 0) - |x| erfc(|x| / sqrt 2) / 2: nothing cancels, however negative x is."""
    kind = x.dtype.type
    np.abs(x, out=a)
    _tail(a, polynomial, density)
    np.abs(x, out=a)
    np.minimum(a, kind(FAR), out=a)  # infinity times a tail of zero would be no number
    a *= kind(0.5)
    density *= a
    polynomial *= density
    np.maximum(x, kind(0), out=result)
    result -= polynomial


def _erf(x: Array, result: Array, a: Array, polynomial: Array, density: Array) -> None:
    kind = x.dtype.type
    np.abs(x, out=a)
    a *= kind(sqrt(2))
    _tail(a, polynomial, density)
    polynomial *= density
    np.subtract(kind(1), polynomial, out=polynomial)
    np.copysign(polynomial, x, out=result)


def _gelu_tanh(x: Array, result: Array, inner: Array, half: Array, _: Array) -> None:
    kind = x.dtype.type
    np.multiply(x, x, out=inner)
    inner *= kind(0.044715)
    inner += kind(1)
    inner *= x
    inner *= kind(sqrt(2 / pi))
    np.tanh(inner, out=inner)
    inner += kind(1)
    np.multiply(x, kind(0.5), out=half)
    np.multiply(inner, half, out=result)


def _sigmoid(x: Array, result: Array, scratch: Array, *_: Array) -> None:
    np.negative(x, out=scratch)
    np.exp(scratch, out=scratch)
    scratch += x.dtype.type(1)
    np.reciprocal(scratch, out=result)


def _softplus(x: Array, result: Array, scratch: Array, *_: Array) -> None:
    """max(x, 0) + log(1 + exp(-|x|))."""
    np.abs(x, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(x, x.dtype.type(0), out=result)
    result += scratch


def _softmax(x: Array, result: Array) -> None:
    np.subtract(x, x.max(-1, keepdims=True), out=result)
    np.exp(result, out=result)
    result /= result.sum(-1, keepdims=True)


def _log_softmax(x: Array, result: Array) -> None:
    np.subtract(x, x.max(-1, keepdims=True), out=result)
    result -= np.log(np.exp(result).sum(-1, keepdims=True))
