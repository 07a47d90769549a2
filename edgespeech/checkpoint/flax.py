"""Weights of Flax (`flax_model.msgpack`) as torch tensors under torch's names; Flax itself is not needed.

The file is a tree of dictionaries in MessagePack, whose arrays are extension types as `flax.serialization` defines
them: https://flax.readthedocs.io/en/latest/api_reference/flax.serialization.html
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgespeech.checkpoint.layouts import from_channels_last, need
from edgespeech.errors import WeightsError

ARRAY, SCALAR = 1, 3  # extension types: an array, and an array without axes
CHUNKED = "__msgpack_chunked_array__"  # an array above a gigabyte is split
NAMES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}


def read_flax(path: Path) -> dict[str, Tensor]:
    """Read a file of Flax.

    Raises:
        MissingFileError: the package `msgpack` is not installed.
        WeightsError: the file is damaged, or holds something else.
    """
    msgpack = need("msgpack", path)
    try:
        tree = msgpack.unpackb(path.read_bytes(), ext_hook=_array, raw=False, strict_map_key=False)
        if not isinstance(tree, Mapping):
            raise WeightsError(f"{path} must hold a tree of arrays, got {type(tree).__name__}")
        if set(tree) == {"params"} and isinstance(tree["params"], Mapping):
            tree = tree["params"]
        return from_flax(dict(_leaves(path, tree, "")))
    except WeightsError:
        raise
    except Exception as error:  # of msgpack, numpy, torch and text in the file
        raise WeightsError(f"{path} is not a readable file of Flax ({type(error).__name__}); fetch it again") from None


def from_flax(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of Flax, by their paths with dots, under torch's names and in torch's order of axes."""
    table = {}
    for name, value in weights.items():
        stem, _, last = name.rpartition(".")
        tensor = from_channels_last(value) if last == "kernel" else value
        table[f"{stem}.{NAMES.get(last, last)}" if stem else NAMES.get(last, last)] = tensor.contiguous()
    return table


def _array(code: int, data: bytes) -> Tensor:
    import msgpack

    if code not in (ARRAY, SCALAR):
        raise ValueError(f"extension type {code}")
    shape, kind, content = msgpack.unpackb(data, raw=True)
    name = kind.decode()
    if name == "bfloat16":  # numpy has no such type
        halves = np.frombuffer(content, np.int16).reshape(shape).copy()
        return torch.from_numpy(halves).view(torch.bfloat16)
    return torch.from_numpy(np.frombuffer(content, np.dtype(name)).reshape(shape).copy())


def _leaves(path: Path, tree: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and CHUNKED in value:
            chunks = [value["chunks"][key] for key in sorted(value["chunks"], key=int)]
            shape = [value["shape"][key] for key in sorted(value["shape"], key=int)]
            yield f"{prefix}{name}", torch.cat([chunk.flatten() for chunk in chunks]).reshape(shape)
        elif isinstance(value, Mapping):
            yield from _leaves(path, value, f"{prefix}{name}.")
        elif isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        else:
            raise WeightsError(f"{path} must hold arrays, got {type(value).__name__} as {prefix}{name}")
