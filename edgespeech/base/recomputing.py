"""Gradient checkpointing: layers that are computed again on the way back, which costs time and saves memory.

https://arxiv.org/abs/1604.06174
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from edgespeech.errors import ConfigError


class Layers(nn.Module):
    """A module that runs layers, each of which can be computed again instead of kept."""

    gradient_checkpointing: bool = False
    checkpointing_options: dict[str, Any]

    def run(self, layer: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a layer makes of its arguments."""
        if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, **self.checkpointing_options)
        return layer(*arguments)


def set_checkpointing(model: nn.Module, options: dict[str, Any] | None) -> None:
    """Switch gradient checkpointing on in all of a model's layers, None: off.

    `options` are `torch.utils.checkpoint.checkpoint`'s.

    Raises:
        ConfigError: an unknown option, or the form with `use_reentrant`.
    """
    expected = {"use_reentrant", "preserve_rng_state", "determinism_check", "early_stop"}
    if (options or {}).get("use_reentrant"):
        raise ConfigError(
            "use_reentrant=True cannot be had, as layers of a decoder share keys and values of the encoder's states; "
            "leave it out"
        )
    unknown = sorted((options or {}).keys() - expected)
    if unknown:
        raise ConfigError(
            f"gradient checkpointing has no option {', '.join(unknown)}; known: {', '.join(sorted(expected))}"
        )
    for module in model.modules():
        if isinstance(module, Layers):
            module.gradient_checkpointing = options is not None
            module.checkpointing_options = {"use_reentrant": False, **(options or {})}


def is_checkpointing(model: nn.Module) -> bool:
    """Whether any layers are computed again."""
    return any(isinstance(module, Layers) and module.gradient_checkpointing for module in model.modules())
