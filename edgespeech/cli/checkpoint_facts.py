"""Facts of a checkpoint folder, for `inspect`: its configuration, and the names and shapes of its weights."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from edgespeech.checkpoint import read_json, read_weights
from edgespeech.cli.output import number, size, table
from edgespeech.configuration import CONFIG
from edgespeech.errors import MissingFileError, UnknownModelError, WeightsError
from edgespeech.models.auto import CTC_CLASSES

SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "conv_dim", "vocab_size")
WEIGHT_FILES = ("model*.safetensors", "pytorch_model*.bin")  # in the order in which they are looked for
LANGUAGES_SHOWN = 12


@dataclass(frozen=True)
class CheckpointFacts:
    """What a checkpoint folder holds; `parameters` by part of the model, `files` in bytes.

    `differing` are the options that the checkpoint sets otherwise than its family's defaults.
    """

    folder: str
    model_type: str
    architectures: list[str]
    exports_as: str
    sizes: dict[str, Any]
    differing: dict[str, Any]
    parameters: dict[str, int]
    types: list[str]
    files: dict[str, int]
    vocabulary: int | None
    languages: list[str]
    adapters: list[str]

    problem = None  # a checkpoint has no checksums that could fail

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"kind": "checkpoint", **asdict(self)}

    def lines(self) -> Iterator[str]:
        """The facts to read."""
        yield f"{self.folder}: a checkpoint"
        yield from table(
            [
                ("family", self.model_type),
                ("class", ", ".join(self.architectures) or "not said"),
                ("exports as", self.exports_as),
                ("vocabulary", "none" if self.vocabulary is None else number(self.vocabulary, "token")),
                *((name, shown) for name in ("languages", "adapters") if (shown := _few(getattr(self, name)))),
            ]
        )
        yield ""
        yield "sizes"
        yield from table((name, _plain(value)) for name, value in self.sizes.items())
        yield ""
        yield f"options that differ from {self.model_type}'s defaults"
        yield from table((name, _plain(value)) for name, value in self.differing.items() if name not in SIZES)
        yield ""
        yield f"parameters: {_grouped(sum(self.parameters.values()))}, {' and '.join(self.types)}"
        yield from table((name, f"{_grouped(count):>13}") for name, count in self.parameters.items())
        yield ""
        yield "weight files"
        yield from table((name, size(count)) for name, count in self.files.items())


def read_checkpoint(folder: Path) -> CheckpointFacts:
    """Read a checkpoint's configuration and the shapes of its weights.

    Raises:
        UnknownModelError: a family that edgespeech does not have.
        CheckpointError: a file that must be there is missing or damaged.
        ConfigError: the configuration contradicts itself.
    """
    data = read_json(folder / CONFIG)
    kind = CTC_CLASSES.get(str(data.get("model_type")))
    if kind is None:
        known = ", ".join(sorted(CTC_CLASSES))
        raise UnknownModelError(f"{folder / CONFIG} has model_type {data.get('model_type')!r}; known are {known}")
    config = kind.config_class.from_dict(data)
    weights = _weights(folder)
    vocabulary = _vocabulary(folder)
    nested = bool(vocabulary) and all(isinstance(value, dict) for value in vocabulary.values())
    own = {entry.name: getattr(config, entry.name) for entry in fields(config) if entry.name != "extra"}
    defaults = kind.config_class.from_dict({"output_hidden_size": own["hidden_size"]})  # it follows by default
    return CheckpointFacts(
        folder=str(folder),
        model_type=kind.config_class.model_type,
        architectures=[str(name) for name in data.get("architectures") or []],
        exports_as=kind.__name__,
        sizes={name: own[name] for name in SIZES},
        differing={name: value for name, value in own.items() if value != getattr(defaults, name)},
        parameters=_by_part(weights, kind.base_model_prefix),
        types=sorted({dtype for _, dtype in weights.values()}),
        files={path.name: path.stat().st_size for pattern in WEIGHT_FILES for path in sorted(folder.glob(pattern))},
        vocabulary=None if nested or not vocabulary else len(vocabulary),
        languages=sorted(vocabulary) if nested else [],
        adapters=sorted({path.name.split(".")[1] for path in folder.glob("adapter.*.*")}),
    )


def _weights(folder: Path) -> dict[str, tuple[int, str]]:
    """Number of values and type of each weight, from the heads of safetensors files; pickles must be read whole."""
    paths = sorted(folder.glob(WEIGHT_FILES[0]))
    if not paths:
        if not any(folder.glob(WEIGHT_FILES[1])):
            raise MissingFileError(f"no weights in {folder}: expected model.safetensors or pytorch_model.bin")
        return {
            name: (tensor.numel(), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in read_weights(folder).items()
        }
    found = {}
    for path in paths:
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  (it is no dict)
                    part = file.get_slice(name)
                    found[name] = (math.prod(part.get_shape()), str(part.get_dtype()))
        except SafetensorError as error:
            raise WeightsError(f"{path} is not a readable safetensors file ({error}); fetch it again") from None
    return found


def _by_part(weights: dict[str, tuple[int, str]], prefix: str) -> dict[str, int]:
    """Parameters by the first name below the family's prefix, largest first; layers apart from the rest."""
    counts: dict[str, int] = {}
    for name, (count, _) in weights.items():
        parts = name.removeprefix(f"{prefix}.").split(".")
        part = ".".join(parts[:2]) if parts[0] == "encoder" else parts[0]
        counts[part] = counts.get(part, 0) + count
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _vocabulary(folder: Path) -> dict[str, Any]:
    path = folder / "vocab.json"
    return read_json(path) if path.is_file() else {}


def _few(names: list[str]) -> str:
    more = len(names) - LANGUAGES_SHOWN
    return ", ".join(names[:LANGUAGES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _plain(value: Any) -> str:
    """A configuration's value as config.json spells it."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
