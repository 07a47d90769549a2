"""Arithmetic, comparisons and logic, element by element with broadcasting, as ONNX defines them."""

import numpy as np

from .arrays import Array


def div(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a / b; of integers the quotient rounded towards zero."""
    if a.dtype.kind == "f":
        return np.divide(a, b, out=out)
    quotient: Array = np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)
    return quotient


def power(a: Array, exponent: Array, *, out: Array | None = None) -> Array:
    """a to the power of `exponent`, in the type of a."""
    exponent = np.asarray(exponent, a.dtype)
    if exponent.size == 1 and exponent == 2:
        return (
            np.multiply(a, a, out=out) if exponent.ndim <= a.ndim else (a * a).reshape(np.broadcast(a, exponent).shape)
        )
    return np.power(a, exponent, out=out)


def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    """The remainder, with the sign of b, or of a where `fmod` is 1."""
    remainder: Array = np.fmod(a, b) if fmod else np.mod(a, b)
    return remainder


def clip(x: Array, low: Array | None = None, high: Array | None = None, *, out: Array | None = None) -> Array:
    """x limited to [low, high]; a limit that is not given does not limit."""
    if low is None and high is None:
        return x.copy()
    return np.clip(x, low, high, out=out)


def where(condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, else b."""
    return np.where(condition, a, b)


def largest(first: Array, *others: Array) -> Array:
    """The largest of all inputs."""
    for other in others:
        first = np.maximum(first, other)
    return first


def smallest(first: Array, *others: Array) -> Array:
    """The smallest of all inputs."""
    for other in others:
        first = np.minimum(first, other)
    return first


def cast(x: Array, *, to: str, saturate: int = 1) -> Array:
    """x in the type `to`, numpy's name of it; x itself where it has that type."""
    return np.asarray(x).astype(to, copy=False)
