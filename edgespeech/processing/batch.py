"""What processors return: a dictionary of arrays whose entries are attributes too; and what they share about padding.

torch is imported only when somebody asks for its tensors or hands some in.
"""

import sys
from collections import UserDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from edgespeech.errors import ProcessingError

PaddingStrategy = Literal["longest", "max_length", "do_not_pad"]
PaddingSide = Literal["right", "left"]
TensorType = Literal["np", "pt"]


class BatchFeature(UserDict[str, Any]):
    """The arrays of a batch by name (`input_values`, `attention_mask`, `input_ids`, `labels`), also as attributes."""

    def __init__(self, data: Mapping[str, Any] | None = None, tensor_type: TensorType | None = None) -> None:
        super().__init__(data or {})
        self.convert_to_tensors(tensor_type)

    def __getattr__(self, name: str) -> Any:
        if name == "data":  # not there yet: an instance that is being copied or unpickled
            raise AttributeError(name)
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no entry {name!r}; it holds {sorted(self.data)}") from None

    def convert_to_tensors(self, tensor_type: TensorType | None = None) -> "BatchFeature":
        """Turn every entry into a numpy array ("np") or a torch tensor ("pt") in place; None leaves all as it is.

        Rows of different lengths become an object array in numpy.

        Raises:
            ProcessingError: an unknown `tensor_type`, or rows of different lengths for torch.
        """
        if tensor_type is not None:
            check_choice("return_tensors", tensor_type, TensorType)
            convert = to_numpy if tensor_type == "np" else _to_torch
            self.data = {name: convert(value) for name, value in self.data.items()}
        return self

    def to(self, *args: Any, **kwargs: Any) -> "BatchFeature":
        """Move torch tensors in place as `torch.Tensor.to` does: all to a device, only floating ones to a dtype."""
        import torch

        device = kwargs.get("device", args[0] if args and not isinstance(args[0], torch.dtype) else None)
        moved = {"device": device, "non_blocking": kwargs.get("non_blocking", False)}
        for name, value in self.data.items():
            if isinstance(value, torch.Tensor):
                self.data[name] = value.to(*args, **kwargs) if value.is_floating_point() else value.to(**moved)
        return self


def to_numpy(value: Any) -> np.ndarray[Any, Any]:
    """Turn an array, tensor, number or list of those into an array; an object array if rows differ in length."""
    if is_torch(value):
        return np.asarray(value.detach().cpu())
    if not isinstance(value, (list, tuple)):
        return np.asarray(value)
    if not value:
        return np.asarray(value, np.int64)
    if not isinstance(value[0], (list, tuple, np.ndarray)) and not is_torch(value[0]):
        return np.asarray(value)
    rows = [to_numpy(row) for row in value]
    if len({row.shape for row in rows}) == 1:
        stacked = np.stack(rows)
        return stacked if stacked.size else stacked.astype(np.int64)
    ragged = np.empty(len(rows), object)
    for index, row in enumerate(rows):
        ragged[index] = row
    return ragged


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    array = to_numpy(value)
    if array.dtype == object:
        raise ProcessingError(
            f"rows of different lengths ({', '.join(str(len(row)) for row in array)}) make no tensor; pass padding=True"
        )
    return torch.from_numpy(np.ascontiguousarray(array))


def is_torch(value: Any) -> bool:
    """Say whether this is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def as_columns(features: Any, required: str) -> dict[str, Any]:
    """Turn a mapping, or a sequence of mappings with the same keys, into columns, `required` among them.

    Raises:
        ProcessingError: neither a mapping nor a sequence of them, or a key is missing.
    """
    if isinstance(features, Mapping):
        columns = dict(features)
    elif isinstance(features, Sequence) and features and all(isinstance(entry, Mapping) for entry in features):
        missing = [name for name in features[0] if not all(name in entry for entry in features)]
        if missing:
            raise ProcessingError(f"every feature must hold the same keys, but {missing[0]!r} is not in all of them")
        columns = {name: [entry[name] for entry in features] for name in features[0]}
    else:
        raise ProcessingError(f"expected a mapping or a list of mappings to pad, got {type(features).__name__}")
    if required not in columns:
        raise ProcessingError(f"expected {required!r} among the features to pad, got {sorted(columns)}")
    return columns


def padding_strategy(padding: bool | str) -> PaddingStrategy:
    """Say what `padding=` means: True is "longest", False is "do_not_pad"; an enum with such a value is fine too.

    Raises:
        ProcessingError: it is none of these.
    """
    if isinstance(padding, bool):
        return "longest" if padding else "do_not_pad"
    choice: PaddingStrategy = check_choice("padding", getattr(padding, "value", padding), PaddingStrategy)
    return choice


def check_choice(name: str, value: Any, choices: Any) -> Any:
    """Return `value` if the `Literal` type `choices` holds it; raise ProcessingError if not."""
    if value not in get_args(choices):
        raise ProcessingError(f"{name}: expected one of {', '.join(map(repr, get_args(choices)))}, got {value!r}")
    return value


def round_up(length: int, multiple: int | None) -> int:
    """Return the smallest multiple of `multiple` that is at least `length`; `length` itself without one."""
    return length if multiple is None else -(-length // multiple) * multiple
