"""Weights of a checkpoint folder: `model.safetensors` (sharded or not) or `pytorch_model.bin` (sharded or not).

Loading is strict: each weight of the model must be there, in its shape, and none may be left over.
"""

from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from edgespeech.checkpoint.folder import PICKLE, SAFETENSORS, first_line, read_json
from edgespeech.errors import CheckpointError, MissingFileError, WeightsError

NAMED_AT_MOST = 5  # weights that an error message lists before it only counts


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a checkpoint folder, safetensors before pickle.

    Raises:
        MissingFileError: no weight file, or a shard that the index names is not there.
        WeightsError: a file is damaged, or holds something other than tensors.
    """
    for name in (SAFETENSORS, PICKLE):
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return _read_file(folder / name)
        if index.is_file():
            return _read_shards(index)
    raise MissingFileError(f"no weights in {folder}: expected {SAFETENSORS} or {PICKLE}, whole or sharded")


def read_adapter(folder: Path, language: str) -> dict[str, Tensor]:
    """Read the per-language adapter file `adapter.{language}.safetensors` (or `.bin`) of a checkpoint folder.

    Raises:
        MissingFileError: there is none for this language; the message lists those that are there.
        WeightsError: the file is damaged.
    """
    for suffix in ("safetensors", "bin"):
        path = folder / f"adapter.{language}.{suffix}"
        if path.is_file() and path.parent == folder:
            return _read_file(path)
    known = sorted({path.name.split(".")[1] for path in folder.glob("adapter.*.*")})
    raise MissingFileError(f"no adapter for {language!r} in {folder}; it holds: {', '.join(known) or 'none'}")


def write_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """Write `model.safetensors`, marked as torch weights as the reference library expects."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    safetensors.torch.save_file(contiguous, folder / SAFETENSORS, metadata={"format": "pt"})


def load_into(module: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Copy weights into a module, all of them and nothing else; values are cast to the module's types.

    Raises:
        WeightsError: names the weights that are missing, superfluous or misshapen.
    """
    own = module.state_dict()
    missing = sorted(own.keys() - weights.keys() - _recomputed(own))
    if missing:
        raise WeightsError(f"weights missing in {source}: {_listed(missing)}; does config.json belong to them?")
    superfluous = sorted(weights.keys() - own.keys())
    if superfluous:
        raise WeightsError(
            f"weights in {source} that {type(module).__name__} does not have: {_listed(superfluous)}; "
            "does config.json belong to them?"
        )
    for name, tensor in weights.items():
        if own[name].shape != tensor.shape:
            raise WeightsError(
                f"weight {name} in {source} has shape {list(tensor.shape)}, the configuration asks for "
                f"{list(own[name].shape)}"
            )
    module.load_state_dict(weights, strict=False)


def _recomputed(own: dict[str, Any]) -> set[str]:
    return {name for name in own if name.endswith("num_batches_tracked")}


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _read_shards(index: Path) -> dict[str, Tensor]:
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise CheckpointError(f"{index} must hold a weight_map of file names; fetch the checkpoint again")
    weights: dict[str, Tensor] = {}
    for name in sorted(set(table.values())):
        shard = index.parent / name
        if shard.parent != index.parent or not shard.is_file():
            raise MissingFileError(f"shard {name} named by {index.name} is missing in {index.parent}")
        weights |= _read_file(shard)
    lost = sorted(table.keys() - weights.keys())
    if lost:
        raise WeightsError(f"shards of {index} lack weights that the index names: {_listed(lost)}")
    return weights


def _read_file(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch it again") from None
    except Exception as error:  # torch.load raises errors of pickle, zip and its own for a damaged file
        raise WeightsError(f"{path} is not a readable weight file ({first_line(error)}); fetch it again") from None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise WeightsError(f"{path} must hold a table of tensors by name")
    return weights
