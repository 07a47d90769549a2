"""Weights of a checkpoint folder, whole or in shards, and the way from there into a model.

Loading is strict: each weight of the model must be there, in its shape, and none may be left over.
"""

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from edgespeech.checkpoint.files import read_file
from edgespeech.checkpoint.folder import SAFETENSORS, WEIGHTS, read_json, refuse_adapter
from edgespeech.errors import CheckpointError, MissingFileError, WeightsError

NAMED_AS_INDEXED = (".safetensors", ".bin")  # formats whose weights have in a file the names of the index
OTHERS = (".ot", ".onnx", ".ckpt", ".gguf", ".pt", ".pth", ".bin", ".safetensors", ".h5", ".keras", ".msgpack", ".npz")
NAMED_AT_MOST = 5  # weights that an error message lists before it only counts


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a checkpoint folder, in the first of the formats of `WEIGHTS` that it has.

    Raises:
        MissingFileError: no weight file, or a shard that the index names is not there.
        WeightsError: a file is damaged, or holds something other than tensors.
    """
    files, index = _chosen(folder)
    weights: dict[str, Tensor] = {}
    for path in files:
        weights |= read_file(path)
    lost = [] if index is None else sorted(_shards(index).keys() - weights.keys())
    if lost and files[0].suffix in NAMED_AS_INDEXED:
        raise WeightsError(f"shards of {index} lack weights that the index names: {_listed(lost)}")
    return weights


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint folder that hold its weights: one, or the shards.

    Raises:
        MissingFileError: there is none, or a shard that the index names is not there; the message says what is there.
        CheckpointError: an index is damaged.
    """
    return _chosen(folder)[0]


def read_adapter(folder: Path, language: str) -> dict[str, Tensor]:
    """Read the per-language adapter file `adapter.{language}.safetensors` (or `.bin`) of a checkpoint folder.

    Raises:
        MissingFileError: there is none for this language; the message lists those that are there.
        WeightsError: the file is damaged.
    """
    for suffix in ("safetensors", "bin"):
        path = folder / f"adapter.{language}.{suffix}"
        if path.is_file() and path.parent == folder:
            return read_file(path)
    languages = sorted({path.name.split(".")[1] for path in folder.glob("adapter.*.*")})
    raise MissingFileError(f"no adapter for {language!r} in {folder}; it holds: {', '.join(languages) or 'none'}")


def write_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """Write `model.safetensors`, marked as torch weights as the reference library expects."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    safetensors.torch.save_file(contiguous, folder / SAFETENSORS, metadata={"format": "pt"})


def load_into(module: nn.Module, weights: dict[str, Tensor], source: str, mapped: bool = False) -> None:
    """Copy weights into a module, all of them and nothing else; values are cast to the module's types.

    With `mapped` those that need no cast are not copied: the module has them where they are.

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
    for name, tensor in module.state_dict(keep_vars=True).items() if mapped else ():
        given = weights.get(name)
        if given is not None and given.dtype == tensor.dtype and given.is_contiguous() and _is_aligned(given):
            tensor.data = given
            weights = {other: values for other, values in weights.items() if other != name}
    module.load_state_dict(weights, strict=False)


def _is_aligned(tensor: Tensor) -> bool:
    return tensor.data_ptr() % tensor.element_size() == 0


def _recomputed(own: dict[str, Any]) -> set[str]:
    return {name for name in own if name.endswith("num_batches_tracked")}


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _chosen(folder: Path) -> tuple[list[Path], Path | None]:
    """Return the files that hold the weights, and the index of shards where there is one."""
    for name in WEIGHTS:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return [folder / name], None
        if index.is_file():
            return [_shard(index, file) for file in sorted(set(_shards(index).values()))], index
    refuse_adapter(folder)
    raise MissingFileError(f"no weights in {folder}: {_instead(folder)}")


def _shards(index: Path) -> dict[str, str]:
    """Read which weight is in which file."""
    table = read_json(index).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise CheckpointError(f"{index} must hold a weight_map of file names; fetch the checkpoint again")
    return table


def _shard(index: Path, name: str) -> Path:
    shard = index.parent / name
    if shard.parent != index.parent or not shard.is_file():
        raise MissingFileError(f"shard {name} named by {index.name} is missing in {index.parent}")
    return shard


def _instead(folder: Path) -> str:
    """Say what was expected in a folder without weights, or what is there in its place."""
    for name in WEIGHTS:
        stem, _, suffix = name.partition(".")
        for variant in sorted(folder.glob(f"{stem}.*.{suffix}")):
            return f"{variant.name} is a variant of {name}; rename it to {name} to use it"
    others = sorted(path.name for path in folder.iterdir() if path.suffix in OTHERS)
    there = f"; {', '.join(others[:NAMED_AT_MOST])} is no such file" if others else ""
    return f"expected {', '.join(WEIGHTS[:-1])} or {WEIGHTS[-1]}, whole or sharded{there}"
