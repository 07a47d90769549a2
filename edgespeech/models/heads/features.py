"""An encoder whose hidden states are the output: what a feature extractor is exported from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.checkpoint import read_json
from edgespeech.configuration import CONFIG
from edgespeech.encoder.transformer import Trace
from edgespeech.errors import ConfigError
from edgespeech.models.encoders.table import encoder_class
from edgespeech.models.speech import SpeechModel


class SpeechFeatures(PreTrainedModel):
    """The last hidden state of an encoder, or those of chosen layers side by side.

    Layers are counted as in `hidden_states`: 0 is what goes into the first layer, N what comes out of the N-th. What
    stands above the last chosen one is taken out of the encoder, and so is the adapter, which comes behind all layers.
    """

    def __init__(self, encoder: SpeechModel, layers: Sequence[int] | None = None) -> None:
        """Take over `encoder`, which is changed; `layers` None for its last hidden state.

        Raises:
            ConfigError: no layer, one that the encoder does not have, or one twice.
        """
        super().__init__()
        self.layers = None if layers is None else _checked(layers, encoder.config.num_hidden_layers)
        if self.layers is not None:
            count = max(self.layers)
            encoder.encoder.layers = encoder.encoder.layers[:count]
            encoder.encoder.has_relative_positions &= count > 0
            encoder.adapter = None
            encoder.config = replace(encoder.config, num_hidden_layers=count, add_adapter=False)
        self.config = replace(encoder.config, use_weighted_layer_sum=False)  # that is a head's business
        encoder.config = self.config
        self.prefix = encoder.base_model_prefix  # weights have the names that they have below a head
        self.add_module(self.prefix, encoder)

    @classmethod
    def read(cls, folder: Path, layers: Sequence[int] | None) -> "SpeechFeatures":
        """Load the encoder of a checkpoint folder, whatever its head; its weights stay mapped, see `LoadingOptions`.

        Raises:
            UnknownModelError: a family that is not known.
            WeightsError, CheckpointError: see `PreTrainedModel.from_pretrained`.
            ConfigError: see the constructor.
        """
        kind = encoder_class(read_json(folder / CONFIG).get("model_type"))
        return cls(kind.from_pretrained(folder, require_all_weights=True, mapped=True), layers).eval()

    @property
    def base_model(self) -> SpeechModel:
        """The encoder."""
        return self.get_submodule(self.prefix)  # type: ignore[return-value]

    @property
    def dimensions(self) -> int:
        """Channels of one hidden state."""
        size: int = self.config.hidden_size if self.layers is not None else self.config.output_size
        return size

    @property
    def size(self) -> int:
        """Channels of the output."""
        return self.dimensions * len(self.layers or (None,))

    @property
    def reads_all_layers(self) -> bool:
        """See `SpeechWithHead.reads_all_layers`."""
        return self.layers is not None

    def mixed(self, hidden_states: Sequence[Tensor], last: Tensor) -> Tensor:
        """Return the chosen states side by side, (batch, frames, size); arguments as `StatesHead.mixed`."""
        if self.layers is None:
            return last
        return torch.cat([hidden_states[layer] for layer in self.layers], -1)

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return the states themselves."""
        return states

    def of_features(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """See `SpeechWithHead.of_features`."""
        output = self.base_model.encode_features(features, lengths, trace=None if self.layers is None else Trace([]))
        return self.mixed(output.hidden_states or (), output.last_hidden_state)

    def last_hidden_state(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, samples), real samples (batch,) -> (batch, frames, size): what graphs are exported from.

        Raises:
            InputError: audio that is shorter than one frame.
        """
        output = self.base_model.encode(waveform, lengths, trace=None if self.layers is None else Trace([]))
        return self.mixed(output.hidden_states or (), output.last_hidden_state)


def _checked(layers: Sequence[int], count: int) -> tuple[int, ...]:
    """Return the numbers of hidden states, ascending."""
    wrong = [layer for layer in layers if not 0 <= layer <= count]
    if wrong or not layers or len(set(layers)) != len(layers):
        raise ConfigError(
            f"layers must be different numbers from 0, the input of the first layer, to {count}, the output of the "
            f"last; got {', '.join(map(str, layers)) or 'none'}"
        )
    return tuple(sorted(layers))
