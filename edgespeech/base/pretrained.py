"""What all models share: the way from and to a checkpoint folder, and how fresh weights are drawn."""

import math
import os
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgespeech.base import fresh
from edgespeech.base.leftovers import without_leftovers
from edgespeech.base.loading_options import LoadingOptions
from edgespeech.base.model import Model
from edgespeech.checkpoint import load_into, staged, write_json, write_weights
from edgespeech.configuration import CONFIG, Config, SpeechEncoderConfig
from edgespeech.encoder.features import FeatureProjection
from edgespeech.encoder.positions import PositionalConv
from edgespeech.errors import ConfigError

ModelT = TypeVar("ModelT", bound="PreTrainedModel")

# The weight norm of the positional convolution under its older names.
RENAMED = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


class PreTrainedModel(Model):
    """A model with a configuration and a checkpoint folder.

    `base_model_prefix` is the name under which checkpoints with a head hold the encoder's weights.
    """

    config_class: ClassVar[type[Config]]
    base_model_prefix: ClassVar[str]

    config: Any
    name_or_path: str | Path | None = None  # the folder or hub id that the model came from

    @classmethod
    def from_pretrained(
        cls: type[ModelT],
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        config: Config | None = None,
        **options: Any,
    ) -> ModelT:
        """Load a checkpoint folder or hub id; the model is in evaluation mode and its weights are float32.

        A head, or an adapter, of which the checkpoint has no weight is drawn and named in one warning.

        Args:
            pretrained_model_name_or_path: the folder or hub id.
            config: in place of the checkpoint's configuration.
            options: fields of the configuration that replace the checkpoint's, and options of loading: `dtype`
                ("float16", `torch.bfloat16`, "auto" for the checkpoint's own), `device_map` (one device),
                `ignore_mismatched_sizes` (weights of another shape are drawn), `require_all_weights` (none are),
                `output_loading_info` (return the model and a dictionary), `state_dict` (in place of the weight files),
                `subfolder`, and for hub ids `revision`, `token`, `cache_dir`, `local_files_only` and `force_download`.

        Raises:
            MissingFileError: no such folder, or a file that it must hold is not there.
            WeightsError: a weight is missing, superfluous, misshapen or unreadable.
            CheckpointError: another family's checkpoint.
            ConfigError: a field of the configuration is wrong, an option is neither a field nor known, or asks for
                what is not done here.
        """
        loading, overrides = LoadingOptions.parted(options)
        folder = loading.folder(pretrained_model_name_or_path)
        config = cls._configured(folder, config, overrides)
        return cls._load(pretrained_model_name_or_path, config, loading.weights(folder), loading)

    @classmethod
    def _configured(cls, folder: Path, config: Config | None, overrides: dict[str, Any]) -> Config:
        if config is None:
            return cls.config_class.from_pretrained(folder, **overrides)
        if overrides:
            raise ConfigError(
                f"give a config or overrides of the checkpoint's, got a config and {', '.join(overrides)}"
            )
        if not isinstance(config, cls.config_class):
            raise ConfigError(f"{cls.__name__} needs a {cls.config_class.__name__}, got a {type(config).__name__}")
        return config

    @classmethod
    def _load(
        cls: type[ModelT],
        checkpoint: str | os.PathLike[str],
        config: Config,
        weights: dict[str, Tensor],
        loading: LoadingOptions,
    ) -> ModelT:
        """Return the model, or with `output_loading_info` the model and what there is to say of it."""
        with Undrawn():
            model = cls(config)
        source = os.fspath(checkpoint)
        own = model.completed(model.adopted(renamed(weights)), source)
        full, info = fresh.completed(
            own, model.state_dict(), model.optional_weights(), lambda: cls(config).state_dict(), source, loading
        )
        load_into(model, full, source, mapped=loading.mapped)
        path = Path(checkpoint).expanduser()
        model.name_or_path = path.absolute() if path.is_dir() else os.fspath(checkpoint)
        loading.placed(model, config, weights)
        return (model.eval(), info) if loading.output_loading_info else model.eval()  # type: ignore[return-value]

    def optional_weights(self) -> list[list[str]]:
        """Return the names of weights of which a checkpoint may have none, in groups that go together."""
        return []

    def save_pretrained(
        self, folder: str | os.PathLike[str], *, safe_serialization: bool = True, push_to_hub: bool = False
    ) -> None:
        """Write `config.json` and `model.safetensors` into a folder, which is made where needed.

        If writing them fails, the folder stays as it was.

        Raises:
            ConfigError: pickled weights are asked for, or an upload.
        """
        if not safe_serialization:
            raise ConfigError("safe_serialization=False is not possible: weights are written as safetensors")
        if push_to_hub:
            raise ConfigError("push_to_hub=True is not possible: upload the folder with huggingface_hub")
        about = {"architectures": [type(self).__name__], "dtype": str(self.dtype).removeprefix("torch.")}
        described = {name: value for name, value in self.config.to_dict().items() if name != "torch_dtype"}
        with staged(Path(folder)) as stage:
            write_json(stage / CONFIG, described | about)
            for name, content in self.extra_files().items():
                write_json(stage / name, content)
            write_weights(stage, self.stored())

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Count the numbers in the weights, shared ones once; without those of tables of tokens and positions."""
        tables = [part for part in self.modules() if exclude_embeddings and isinstance(part, nn.Embedding)]
        left_out = {id(table.weight) for table in tables}
        counted = (p for p in self.parameters() if id(p) not in left_out and (p.requires_grad or not only_trainable))
        return sum(parameter.numel() for parameter in counted)

    def extra_files(self) -> dict[str, dict[str, Any]]:
        """Return the content of the JSON files, by their names, that the model writes beside `config.json`."""
        return {}

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a checkpoint's weights under this model's names, without leftovers that are known by name.

        The vector that hides frames in training is left out where the model has none, and drawn where the checkpoint
        has none (as in facebook/wav2vec2-base-960h): inference does not use it.
        """
        own = self.state_dict()
        weights = without_leftovers(weights, own, self.base_model_prefix)
        mine, theirs = (
            {name: tensor for name, tensor in table.items() if name.endswith("masked_spec_embed")}
            for table in (own, weights)
        )
        drawn = {name: torch.rand_like(tensor) for name, tensor in mine.items() if name not in theirs}
        unused = theirs.keys() - mine.keys()
        return {name: tensor for name, tensor in weights.items() if name not in unused} | drawn

    def completed(self, weights: dict[str, Tensor], source: str) -> dict[str, Tensor]:
        """Return the weights with those added that the checkpoint called `source` may lack; here there are none."""
        return weights

    def stored(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds: the state, in which weights with several names stand under the first."""
        names = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        again = names - {name for name, _ in self.named_parameters()}
        return {name: tensor for name, tensor in self.state_dict().items() if name not in again}

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' type."""
        return next(self.parameters()).dtype


class Undrawn(TorchFunctionMode):
    """Leaves weights undrawn while a model is built whose weights come from a file: that takes longer than reading."""

    SKIPPED = frozenset(
        (
            *(Tensor.normal_, Tensor.uniform_, torch.randn_like),
            *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_),
        )
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return the tensor itself in place of random values in its shape."""
        kwargs = kwargs or {}
        if func in self.SKIPPED:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


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
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(0.0, config.initializer_range)
        elif isinstance(module, nn.Conv1d) and not hasattr(module, "parametrizations"):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                bound = math.sqrt(module.groups / (module.in_channels * module.kernel_size[0]))
                module.bias.uniform_(-bound, bound)
    for module in model.modules():  # after the general rules, those that differ
        if isinstance(module, PositionalConv) and module.layer_norm is not None:
            nn.init.zeros_(module.conv.bias)  # type: ignore[arg-type]
        elif isinstance(module, PositionalConv):
            fan = module.conv.kernel_size[0] * module.conv.in_channels
            weight = torch.randn_like(module.conv.weight) * (2 * math.sqrt(1 / fan))
            if module.batch_norm is None:
                module.conv.weight = weight  # the weight norm splits it
            else:
                module.conv.weight.copy_(weight)
            nn.init.zeros_(module.conv.bias)  # type: ignore[arg-type]
        elif isinstance(module, FeatureProjection):
            bound = math.sqrt(1 / module.projection.in_features)
            module.projection.weight.uniform_(-bound, bound)
            module.projection.bias.uniform_(-bound, bound)
