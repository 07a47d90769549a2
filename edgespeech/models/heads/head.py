"""What all heads on a speech encoder share, and what those share that can read a mixture of all its layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgespeech.base.fresh import grouped
from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.lengths import conv_length, real, samples_for
from edgespeech.encoder.transformer import Trace
from edgespeech.errors import ConfigError, InputError
from edgespeech.models.speech import HEADS, SpeechModel, trace_for


class SpeechWithHead(PreTrainedModel):
    """A speech encoder under its family's prefix, and a head beside it.

    A family's class names its encoder, from which prefix and configuration follow:
    `class HubertForCTC(SpeechForCTC, encoder=HubertModel)`.
    """

    base_model_class: ClassVar[type[SpeechModel]]

    def __init_subclass__(cls, encoder: type[SpeechModel] | None = None) -> None:
        super().__init_subclass__()
        if encoder is not None:
            cls.base_model_class = encoder
            cls.base_model_prefix = encoder.base_model_prefix
            cls.config_class = encoder.config_class

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.add_module(self.base_model_prefix, self.base_model_class(config))

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `PreTrainedModel.adopted`; the weights of a checkpoint without a head stand under no prefix.

        Those of another head are left out.
        """
        prefix, own = self.base_model_prefix + ".", self.state_dict()
        if any(name.startswith(prefix) for name in weights):
            others = HEADS - {_first(name) for name in own}
            weights = {name: tensor for name, tensor in weights.items() if _first(name) not in others}
        else:
            weights = {prefix + name if prefix + name in own else name: tensor for name, tensor in weights.items()}
        return super().adopted(weights)

    def optional_weights(self) -> list[list[str]]:
        """See `PreTrainedModel.optional_weights`; parts of the head, and the encoder's adapters."""
        prefix = self.base_model_prefix + "."
        inner = [[prefix + name for name in group] for group in self.base_model.optional_weights()]
        head = grouped(self.state_dict(), lambda name: None if name.startswith(prefix) else _first(name))
        return head + inner

    @property
    def base_model(self) -> SpeechModel:
        """The encoder below the head."""
        return self.get_submodule(self.base_model_prefix)  # type: ignore[return-value]

    @property
    def reads_all_layers(self) -> bool:
        """Whether the head reads what others than the last layer give; see `mixed`."""
        return False

    def mixed(self, hidden_states: Sequence[Tensor], last: Tensor) -> Tensor:
        """Return what the head reads, (batch, frames, size): here the encoder's `last` hidden state."""
        return last

    def head(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return the output for states (batch, frames, size); `mask` (batch, frames) is 1.0 on real frames."""
        raise NotImplementedError

    def of_states(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the output for states (batch, frames, size) of which `lengths` (batch,) are real, None for all."""
        return self.head(states, float_mask(lengths, states))

    def of_features(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the output for what the conv stack gives, (batch, frames, channels), real frames (batch,)."""
        trace = Trace([]) if self.reads_all_layers else None
        output = self.base_model.encode_features(features, lengths, trace=trace)
        states = self.mixed(output.hidden_states or (), output.last_hidden_state)
        return self.of_states(states, lengths if self.reads_all_layers else output.lengths)

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor | int) -> Tensor:
        """See `SpeechModel._get_feat_extract_output_lengths`."""
        return self.base_model._get_feat_extract_output_lengths(input_lengths)

    def freeze_feature_encoder(self) -> None:
        """Take the conv stack out of training."""
        self.base_model.freeze_feature_encoder()

    def freeze_base_model(self) -> None:
        """Take the whole encoder out of training, so that only the head learns."""
        self.base_model.requires_grad_(False)


@dataclass(frozen=True)
class States:
    """What a head reads, (batch, frames, size), its lengths (batch,) or None, and what the caller asked to see."""

    states: Tensor
    lengths: Tensor | None
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class StatesHead(SpeechWithHead):
    """A head on the encoder's last states or, with `use_weighted_layer_sum`, on a learned mixture of all layers'.

    A subclass says in `head` what it makes of them.
    """

    takes_adapter: ClassVar[bool] = False

    def __init__(self, config: SpeechEncoderConfig) -> None:
        if config.add_adapter and not self.takes_adapter:
            raise ConfigError(f"{type(self).__name__} has no add_adapter; leave it at False")
        super().__init__(config)
        if config.use_weighted_layer_sum:
            layers = config.num_hidden_layers + 1  # and what went into the first one
            self.layer_weights = nn.Parameter(torch.full((layers,), 1 / layers))

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        """Kernel, stride and padding of each convolution below the head's output, in order.

        A mixture of layers is taken before the encoder's adapter, which then has no part in the result.
        """
        stack = self.base_model.convolutions
        return stack[: len(self.config.conv_kernel)] if self.config.use_weighted_layer_sum else stack

    @property
    def shortest(self) -> int:
        """Samples that an utterance must have."""
        return samples_for(self.least_frames[0], self.convolutions)

    @property
    def least_frames(self) -> tuple[int, str]:
        """How many frames the head needs at least, and how a message says it."""
        return 1, "one frame"

    @property
    def reads_all_layers(self) -> bool:
        """See `SpeechWithHead.reads_all_layers`."""
        weighted: bool = self.config.use_weighted_layer_sum
        return weighted

    def mixed(self, hidden_states: Sequence[Tensor], last: Tensor) -> Tensor:
        """Return what the head reads, (batch, frames, size).

        Args:
            hidden_states: the transformer's input and each layer's output, (batch, frames, hidden) each; not looked at
                without `use_weighted_layer_sum`.
            last: the encoder's last hidden state (batch, frames, output).
        """
        if not self.config.use_weighted_layer_sum:
            return last
        shares = self.layer_weights.softmax(-1).unbind()
        terms = [share * states for share, states in zip(shares, hidden_states, strict=True)]
        mixture = terms[0]
        for term in terms[1:]:
            mixture = mixture + term
        return mixture

    def read(self, waveform: Tensor, lengths: Tensor | None, trace: Trace | None = None) -> States:
        """Encode a waveform (batch, samples) whose real samples `lengths` (batch,) counts, None for all.

        Raises:
            InputError: audio that is shorter than `shortest`.
        """
        if waveform.shape[-1] < self.shortest:
            raise InputError(
                f"audio must have at least {self.shortest} samples for {self.least_frames[1]}, "
                f"got {waveform.shape[-1]}; pad it"
            )
        wanted = trace or Trace()
        weighted = self.config.use_weighted_layer_sum
        seen = Trace([], wanted.attentions) if weighted and wanted.hidden_states is None else wanted
        output = self.base_model.encode(waveform, lengths, trace=seen)
        frames = output.lengths
        if weighted and self.config.add_adapter and lengths is not None:
            frames = lengths
            for kernel, stride, padding in self.base_model.convolutions[: len(self.config.conv_kernel)]:
                frames = conv_length(frames, kernel, stride, padding)
        states = self.mixed(output.hidden_states or (), output.last_hidden_state)
        shown = output.hidden_states if wanted.hidden_states is not None else None
        return States(states, frames, shown, output.attentions)

    def read_masked(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None,
        hidden_states: bool | None,
        attentions: bool | None,
    ) -> States:
        """Encode what `forward` is given, after checking it.

        Raises:
            InputError: as `SpeechModel.forward`, and audio that is shorter than `shortest`.
        """
        lengths = self.base_model.checked_lengths(input_values, attention_mask, self.shortest, self.least_frames[1])
        return self.read(input_values, lengths, trace_for(self.config, hidden_states, attentions))


def _first(name: str) -> str:
    return name.partition(".")[0]


def float_mask(lengths: Tensor | None, like: Tensor) -> Tensor | None:
    """Return 1.0 on the real frames of `like` (batch, frames, size): (batch, frames); None where all are."""
    return real(lengths, like.shape[1]).to(like.dtype) if lengths is not None else None
