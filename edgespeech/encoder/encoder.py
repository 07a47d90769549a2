"""The whole speech encoder: waveform -> conv stack -> projection -> transformer -> adapter."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.adapter import PADDING, Adapter
from edgespeech.encoder.features import FeatureExtractor, FeatureProjection, Patches
from edgespeech.encoder.lengths import conv_length, samples_for
from edgespeech.encoder.spec_augment import spans
from edgespeech.encoder.transformer import Trace, Transformer
from edgespeech.errors import InputError


@dataclass(frozen=True)
class EncoderOutput:
    """Last hidden state (batch, frames, output), its lengths, the conv features, and what a trace saw."""

    last_hidden_state: Tensor
    lengths: Tensor | None
    extract_features: Tensor
    hidden_states: tuple[Tensor, ...] | None
    attentions: tuple[Tensor, ...] | None


class SpeechEncoder(nn.Module):
    """The encoder of all families; the configuration says which.

    With `lengths`, a padded batch gives each utterance what it gets alone. Without, nothing is masked.
    """

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        if config.has_masking_vector:
            self.masked_spec_embed = nn.Parameter(torch.empty(config.hidden_size).uniform_())
        self.encoder = Transformer(config)
        self.adapter = Adapter(config) if config.add_adapter else None

    def encode(
        self,
        waveform: Tensor,
        lengths: Tensor | None = None,
        *,
        mask_time_indices: Tensor | None = None,
        trace: Trace | None = None,
        patches: Patches | None = None,
    ) -> EncoderOutput:
        """Encode a waveform (batch, samples); `lengths` (batch,) counts the real samples, None means all.

        `mask_time_indices` (batch, frames) hides frames, as pre-training does. Of windows of a recording, `patches` are
        those of the whole.

        Raises:
            InputError: the audio is shorter than the receptive field, or `mask_time_indices` has another shape.
            ConfigError: in training, spans to hide that are longer than the audio.
        """
        if waveform.shape[-1] < self.shortest:
            raise InputError(
                f"audio must have at least {self.shortest} samples for one frame, got {waveform.shape[-1]}; pad it"
            )
        features, lengths = self.feature_extractor(waveform, lengths, patches)
        return self.encode_features(features, lengths, mask_time_indices=mask_time_indices, trace=trace)

    def encode_features(
        self,
        features: Tensor,
        lengths: Tensor | None = None,
        *,
        mask_time_indices: Tensor | None = None,
        trace: Trace | None = None,
    ) -> EncoderOutput:
        """Encode what the conv stack gives, (batch, frames, channels); `lengths` counts frames. See `encode`."""
        trace = trace or Trace()
        x, features = self.feature_projection(features)
        x = self._augmented(x, lengths, mask_time_indices)
        x = self.encoder(x, lengths, trace)
        if self.adapter is not None:
            x, lengths = self.adapter(x, lengths)
        return EncoderOutput(
            last_hidden_state=x,
            lengths=lengths,
            extract_features=features,
            hidden_states=tuple(trace.hidden_states) if trace.hidden_states is not None else None,
            attentions=tuple(trace.attentions) if trace.attentions is not None else None,
        )

    @property
    def convolutions(self) -> list[tuple[int, int, int]]:
        """Kernel, stride and padding of each convolution that shortens the input, in order."""
        config = self.config
        stack = [(kernel, stride, 0) for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True)]
        if config.add_adapter:
            stack += [(config.adapter_kernel_size, config.adapter_stride, PADDING)] * config.num_adapter_layers
        return stack

    @property
    def shortest(self) -> int:
        """Samples that the first frame needs."""
        return self.samples(1)

    def samples(self, frames: int) -> int:
        """Return the fewest samples that give this many frames."""
        return samples_for(frames, self.convolutions)

    def frames(self, samples: Tensor) -> Tensor:
        """Return the number of output frames for each number of samples."""
        for kernel, stride, padding in self.convolutions:
            samples = conv_length(samples, kernel, stride, padding)
        return samples

    def _augmented(self, x: Tensor, lengths: Tensor | None, mask_time_indices: Tensor | None) -> Tensor:
        config = self.config
        if not config.apply_spec_augment:
            return x
        batch, frames, hidden = x.shape
        if mask_time_indices is None and self.training and config.mask_time_prob > 0:
            counts = lengths.tolist() if lengths is not None else [frames] * batch
            mask_time_indices = spans(
                counts, frames, config.mask_time_prob, config.mask_time_length, config.mask_time_min_masks
            )
        if mask_time_indices is not None:
            if mask_time_indices.shape != (batch, frames) or not hasattr(self, "masked_spec_embed"):
                raise InputError(
                    f"mask_time_indices must be {[batch, frames]}, got {list(mask_time_indices.shape)}, and needs a "
                    "mask_time_prob or mask_feature_prob above 0 in the configuration"
                )
            hide = mask_time_indices.to(x.device, torch.bool)[:, :, None]
            x = torch.where(hide, self.masked_spec_embed.to(x.dtype), x)
        if self.training and config.mask_feature_prob > 0:
            hide = spans(
                [hidden] * batch,
                hidden,
                config.mask_feature_prob,
                config.mask_feature_length,
                config.mask_feature_min_masks,
            )
            x = x.masked_fill(hide.to(x.device)[:, None], 0.0)
        return x
