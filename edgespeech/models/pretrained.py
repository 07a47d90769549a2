"""What all models share: the way from and to a checkpoint folder, and how fresh weights are drawn."""

import math
import os
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from edgespeech.checkpoint import load_into, read_weights, resolve, write_weights
from edgespeech.configuration import Config, SpeechEncoderConfig
from edgespeech.encoder.features import FeatureProjection
from edgespeech.encoder.transformer import PositionalConv

ModelT = TypeVar("ModelT", bound="PreTrainedModel")

# The weight norm of the positional convolution under its older names.
RENAMED = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


class PreTrainedModel(nn.Module):
    """A model with a configuration and a checkpoint folder.

    `base_model_prefix` is the name under which checkpoints with a head hold the encoder's weights.
    """

    config_class: ClassVar[type[Config]]
    base_model_prefix: ClassVar[str]

    config: Any
    name_or_path: Path | None = None

    @classmethod
    def from_pretrained(
        cls: type[ModelT], checkpoint: str | os.PathLike[str], *, config: Config | None = None, **overrides: Any
    ) -> ModelT:
        """Load a checkpoint folder or hub id; the model is in evaluation mode and its weights are float32.

        `overrides` replace fields of the checkpoint's configuration, `config` replaces it whole.

        Raises:
            MissingFileError: no such folder, or a file that it must hold is not there.
            WeightsError: a weight is missing, superfluous, misshapen or unreadable.
            CheckpointError: another family's checkpoint.
        """
        folder = resolve(checkpoint)
        config = config or cls.config_class.from_pretrained(folder, **overrides)
        return cls._load(folder, config, read_weights(folder))

    @classmethod
    def _load(cls: type[ModelT], folder: Path, config: Config, weights: dict[str, Tensor]) -> ModelT:
        model = cls(config)
        load_into(model, model.adopted(renamed(weights)), str(folder))
        model.name_or_path = folder
        return model.eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `config.json` and `model.safetensors` into a folder, which is made where needed."""
        path = Path(folder)
        self.config.save_pretrained(path)
        write_weights(path, self.state_dict())

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a checkpoint's weights under this model's names; what the model has no use for is left out by name."""
        own = self.state_dict()
        unused = {name for name in weights if name.endswith("masked_spec_embed") and name not in own}
        return {name: tensor for name, tensor in weights.items() if name not in unused}

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' type."""
        return next(self.parameters()).dtype


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with older names replaced by today's."""
    table = {}
    for name, tensor in weights.items():
        for old, new in RENAMED.items():
            if name.endswith(f"pos_conv_embed.{old}"):
                name = name.removesuffix(old) + new
        table[name] = tensor
    return table


@torch.no_grad()
def draw(model: nn.Module, config: SpeechEncoderConfig) -> None:
    """Draw fresh weights for a speech encoder and its head, as the published models began."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(0.0, config.initializer_range)
            module.bias.zero_()
        elif isinstance(module, nn.Conv1d) and not hasattr(module, "parametrizations"):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                bound = math.sqrt(module.groups / (module.in_channels * module.kernel_size[0]))
                module.bias.uniform_(-bound, bound)
    for module in model.modules():  # after the general rules, those that differ
        if isinstance(module, PositionalConv):
            fan = module.conv.kernel_size[0] * module.conv.in_channels
            module.conv.weight = torch.randn_like(module.conv.weight) * (2 * math.sqrt(1 / fan))
            nn.init.zeros_(module.conv.bias)  # type: ignore[arg-type]
        elif isinstance(module, FeatureProjection):
            bound = math.sqrt(1 / module.projection.in_features)
            module.projection.weight.uniform_(-bound, bound)
            module.projection.bias.uniform_(-bound, bound)
