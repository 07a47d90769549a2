"""What a caller can say about loading beside the fields of a configuration: from where, in which type, onto what.

Names and meanings are the reference library's; values that ask for something that is not done here are refused.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgespeech.checkpoint import read_weights, resolve
from edgespeech.checkpoint.resolving import HubOptions
from edgespeech.configuration import Config
from edgespeech.errors import ConfigError, MissingFileError

ALIASES = {"torch_dtype": "dtype"}
# Options of the reference library, the values that change nothing here, and why others are refused.
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "from_flax": ((None, False), "a checkpoint of Flax weights is read without being told (extra `convert`)"),
    "from_tf": (
        (None, False),
        "a checkpoint of TensorFlow weights is read without being told (extra `convert`)",
    ),
    "trust_remote_code": ((None, False), "code that comes with a checkpoint is never run"),
    "weights_only": ((None, True), "pickled code is never run"),
    "use_safetensors": ((None,), "safetensors are read where they are there"),
    "variant": ((None,), "rename the file of that variant to model.safetensors"),
    "attn_implementation": ((None, "eager"), "'eager' is what is computed, on every device"),
    "quantization_config": ((None,), "export the model with --precision int8"),
    "load_in_8bit": ((None, False), "export the model with --precision int8"),
    "load_in_4bit": ((None, False), "export the model with --precision int8"),
    "low_cpu_mem_usage": ((None, True), "weights are always read without drawing others first"),
    "tp_plan": ((None,), "a model is on one device"),
    "max_memory": ((None,), "a model is on one device"),
    "offload_folder": ((None,), "a model is on one device"),
    "proxies": ((None,), "set HTTPS_PROXY in the environment"),
}


@dataclass(frozen=True, kw_only=True)
class LoadingOptions:
    """How a checkpoint is loaded.

    `hub` concerns hub ids; a folder needs nothing of it. `dtype` is what the weights become: None for float32, "auto"
    for what `config.json` says or else the weights are. `device_map` is one device. With `ignore_mismatched_sizes`
    weights of another shape are drawn, with `require_all_weights` none are. `state_dict` stands for the files' weights.
    With `mapped` the model has its weights where the file is mapped into memory, so that each is read when it is used:
    the file must stay as it is meanwhile. What is changed in the model is not changed there.
    """

    hub: HubOptions = field(default_factory=HubOptions)
    subfolder: str = ""
    dtype: str | torch.dtype | None = None
    device_map: Any = None
    ignore_mismatched_sizes: bool = False
    require_all_weights: bool = False
    mapped: bool = False
    output_loading_info: bool = False
    state_dict: Mapping[str, Tensor] | None = None

    @classmethod
    def parted(cls, options: Mapping[str, Any]) -> tuple["LoadingOptions", dict[str, Any]]:
        """Part what `from_pretrained` was given into options of loading and fields of the configuration.

        Raises:
            ConfigError: an option that asks for something that is not done here; the message names it.
        """
        options = {ALIASES.get(name, name): value for name, value in options.items()}
        for name, (neutral, reason) in REFUSED.items():
            value = options.pop(name, None)
            if value not in neutral:
                raise ConfigError(f"{name}={value!r} is not possible: {reason}; leave it out")
        hub, options = HubOptions.parted(options)
        own = {entry.name for entry in fields(cls)} - {"hub"}
        loading = cls(hub=hub, **{name: value for name, value in options.items() if name in own})
        return loading, {name: value for name, value in options.items() if name not in own}

    def __post_init__(self) -> None:
        _type_named(self.dtype)
        self.device()

    def folder(self, checkpoint: str | os.PathLike[str], *more: str) -> Path:
        """Return the folder of a checkpoint; see `checkpoint.resolve`."""
        folder = resolve(checkpoint, *more, hub=self.hub) / self.subfolder
        if not folder.is_dir():
            raise MissingFileError(f"there is no subfolder {self.subfolder!r} in {folder.parent}")
        return folder

    def weights(self, folder: Path) -> dict[str, Tensor]:
        """Return the weights: those of the caller, or of the folder."""
        return read_weights(folder) if self.state_dict is None else dict(self.state_dict)

    def device(self) -> torch.device | None:
        """Return the device on which the model is to be, None for where it is.

        Raises:
            ConfigError: `device_map` is no single device, or one that torch does not know.
        """
        given = self.device_map
        if isinstance(given, Mapping):
            devices = {str(device) for device in given.values()}
            given = next(iter(given.values())) if len(devices) == 1 else None
            if given is None:
                raise ConfigError(f"device_map must be one device, as a model is not spread, got {self.device_map!r}")
        try:
            return None if given is None else torch.device(given)
        except (RuntimeError, TypeError):
            raise ConfigError(
                f"device_map must be one device, such as 'cpu' or 'cuda:0', as a model is not spread, got {given!r}"
            ) from None

    def placed(self, model: nn.Module, config: Config, weights: Mapping[str, Tensor]) -> None:
        """Bring a loaded model to the type and the device that were asked for.

        Raises:
            ConfigError: the device is not there.
        """
        if self.dtype is not None:
            kind = _type_named(self.dtype)
            model.to(_own_type(config, weights) if kind is None else kind)
        device = self.device()
        if device is not None:
            try:
                model.to(device)
            except (RuntimeError, AssertionError) as error:
                raise ConfigError(f"device_map {device} is not there: {str(error).splitlines()[0]}") from None


def _type_named(kind: Any) -> torch.dtype | None:
    """Return a type of weights by its name, None for "auto" or nothing.

    Raises:
        ConfigError: no type of floating-point numbers.
    """
    if kind is None or kind == "auto":
        return None
    dtype = getattr(torch, kind.removeprefix("torch."), None) if isinstance(kind, str) else kind
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ConfigError(f"dtype must be a type of floating-point weights, such as 'float16', or 'auto', got {kind!r}")
    return dtype


def _own_type(config: Config, weights: Mapping[str, Tensor]) -> torch.dtype:
    """Return the type that a checkpoint is of: by its configuration, or else its first floating-point weight."""
    for name in ("dtype", "torch_dtype"):
        stated = config.extra.get(name)
        if stated is not None:
            return _type_named(stated) or torch.float32
    return next((tensor.dtype for tensor in weights.values() if tensor.is_floating_point()), torch.float32)
