"""What Flax's and TensorFlow's files have in common: axes in another order, and a package that reads the container."""

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from edgespeech.errors import MissingFileError


def from_channels_last(kernel: Tensor) -> Tensor:
    """Put the axes of a kernel into torch's order: (in, out) -> (out, in), (taps, in, out) -> (out, in, taps)."""
    return kernel.permute(*reversed(range(kernel.ndim)))


def need(package: str, path: Path) -> Any:
    """Import a package that a format takes.

    Raises:
        MissingFileError: it is not installed; the message says how to get it.
    """
    try:
        return import_module(package)
    except ImportError:
        raise MissingFileError(
            f"{path} takes the package {package} to read; run: pip install 'edgespeech[convert]'"
        ) from None
