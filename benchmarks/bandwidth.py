"""How fast this machine reads memory: what a decoder that does nothing but read its weights would be bound by."""

from collections.abc import Callable

import torch

BYTES = 2**29  # far more than any cache holds
PASSES = 6  # over them, in one measured call


def reader() -> Callable[[], object]:
    """Return a call that reads `BYTES * PASSES` bytes with torch's threads, and computes next to nothing.

    A sum in float32; the largest element, the product with itself and sums of rows read as fast, the product of a
    matrix and a vector slower.
    """
    numbers = torch.ones(BYTES // 4)
    return lambda: [numbers.sum() for _ in range(PASSES)]


def gigabytes_per_second(seconds: float) -> float:
    """Of one call that took so long."""
    return BYTES * PASSES / seconds / 1e9
