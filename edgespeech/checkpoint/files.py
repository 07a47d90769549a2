"""One file of weights, in any of the formats that checkpoints come in, as torch tensors under torch's names.

Nothing is said here of folders, shards and models.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from edgespeech.checkpoint.flax import from_flax, read_flax
from edgespeech.checkpoint.folder import refuse_pointer
from edgespeech.checkpoint.pickled import read_pickle
from edgespeech.checkpoint.tensorflow import from_tensorflow, read_tensorflow
from edgespeech.errors import WeightsError


def read_file(path: Path) -> dict[str, Tensor]:
    """Read a file of weights; the end of its name says which format it has.

    Raises:
        WeightsError: it is damaged, a pointer of Git LFS, holds something other than tensors, or names code to run.
    """
    refuse_pointer(path)
    weights = READERS[path.suffix](path)
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise WeightsError(f"{path} must hold a table of tensors by name")
    return weights


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            framework = (file.metadata() or {}).get("format", "pt")
        weights = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch it again") from None
    return FRAMEWORKS[framework](weights) if framework in FRAMEWORKS else weights


# Frameworks other than torch that write safetensors files too, under their own names and in their own order of axes.
FRAMEWORKS: dict[str, Callable[[dict[str, Tensor]], dict[str, Tensor]]] = {"flax": from_flax, "tf": from_tensorflow}
READERS: dict[str, Callable[[Path], Any]] = {
    ".safetensors": _read_safetensors,
    ".bin": read_pickle,
    ".msgpack": read_flax,
    ".h5": read_tensorflow,
}
