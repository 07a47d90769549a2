"""Weights of TensorFlow (`tf_model.h5`) as torch tensors under torch's names; TensorFlow itself is not needed.

The file is what Keras 2 writes: datasets in HDF5 under paths of layers, whose first part is the model's own name.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgespeech.checkpoint.layouts import from_channels_last, need
from edgespeech.errors import WeightsError

NAMES = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"} | {
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def read_tensorflow(path: Path) -> dict[str, Tensor]:
    """Read a file of Keras.

    Raises:
        MissingFileError: the package `h5py` is not installed.
        WeightsError: the file is damaged, or holds something else.
    """
    h5py = need("h5py", path)
    try:
        with h5py.File(path, "r") as file:
            return dict(_weights(file))
    except WeightsError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is not a readable HDF5 file ({type(error).__name__}); fetch it again") from None


def from_tensorflow(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of Keras, by their paths without the model's name, under torch's names and order of axes."""
    return dict(_converted(path, value) for path, value in weights.items())


def _weights(file: Any) -> Iterator[tuple[str, Tensor]]:
    """Each dataset under torch's name and in torch's order of axes."""
    if "layer_names" not in file.attrs:  # a shard: datasets without the name of the model
        for path, value in _datasets(file, file):
            yield _converted(path, value)
        return
    for layer in file.attrs["layer_names"]:
        group = file[layer]
        for name in group.attrs["weight_names"]:
            text = name.decode() if isinstance(name, bytes) else name
            yield _converted(text.partition("/")[2] or text, _array(group[name], file))


def _datasets(group: Any, file: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, item in group.items():
        if hasattr(item, "items"):
            yield from _datasets(item, file, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", _array(item, file)


def _array(item: Any, file: Any) -> Tensor:
    """Read a dataset, whose numbers must stand in the file itself: HDF5 can point to any other file."""
    if item.file.filename != file.filename or item.external or item.is_virtual:
        raise WeightsError(f"{file.filename} takes {item.name} from another file, which no file of Keras does")
    return torch.from_numpy(item[()])


def _converted(path: str, value: Tensor) -> tuple[str, Tensor]:
    """One weight; `path` is without the model's name, `$1___$2` in it stands for `$2` and `_._` for a level."""
    path = re.sub(r"(^|/)[^/]*___", r"\1", path.removesuffix(":0")).replace("_._", "/")
    parts = [part for part in path.split("/") if part]
    last = parts[-1]
    if last == "kernel":
        value = from_channels_last(value)
    elif last == "weight_g" and value.ndim == 3:  # of the positional convolution: (taps, 1, 1) -> (1, 1, taps)
        value = value.reshape(1, 1, -1)
    elif last == "bias" and value.ndim == 2:  # of GPT-2's products: (1, out) -> (out)
        value = value.flatten()
    return ".".join([*parts[:-1], NAMES.get(last, last)]), value.contiguous()
