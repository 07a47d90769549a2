"""The conv stack that turns a waveform into features, and their projection to the transformer's size."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.activations import activation
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.lengths import conv_length, real


class Patches(NamedTuple):
    """Mean (taps,) and spread (axes, taps) of all that the first convolution reads of a whole recording.

    See `edgespeech_runtime.long.statistics`. A window of the recording, given these, is normalised over time as the
    whole would be.
    """

    mean: Tensor
    spread: Tensor

    def moments(self, conv: nn.Conv1d) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each channel of the convolution's output, (1, channels, 1) both."""
        mean = F.conv1d(self.mean[None, None], conv.weight, conv.bias)
        return mean, F.conv1d(self.spread[:, None], conv.weight).square().sum(0, keepdim=True)


class TimeGroupNorm(nn.GroupNorm):
    """Normalises each channel over time, and only over the frames that are real."""

    def __init__(self, channels: int) -> None:
        super().__init__(num_groups=channels, num_channels=channels, affine=True)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalise x (batch, channels, frames); `lengths` (batch,) counts the real frames, None means all."""
        if lengths is None:
            return torch.instance_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps, False)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # sums over seconds of audio overflow in float16
        mask = real(lengths, x.shape[-1])[:, None].to(wide.dtype)  # (batch, 1, frames)
        count = lengths[:, None, None].to(wide.dtype)
        mean = (wide * mask).sum(-1, keepdim=True) / count
        centred = wide - mean
        variance = (centred * mask).square().sum(-1, keepdim=True) / count
        scale = self.weight[:, None] * torch.rsqrt(variance + self.eps)
        return (centred * scale + self.bias[:, None]).to(x.dtype)

    def by_moments(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise x (batch, channels, frames) by moments of each channel (1, channels, 1) that are not its own."""
        return (x - mean) * (self.weight[:, None] * torch.rsqrt(variance + self.eps)) + self.bias[:, None]


class ChannelLayerNorm(nn.LayerNorm):
    """Normalises each frame over its channels, for the conv stack's channels-first layout."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalise x (batch, channels, frames); frames are independent, so `lengths` change nothing."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ConvLayer(nn.Module):
    """One convolution over time, with normalisation where the configuration has one, and the activation."""

    def __init__(self, config: SpeechEncoderConfig, index: int) -> None:
        super().__init__()
        channels_in = config.conv_dim[index - 1] if index > 0 else 1
        channels = config.conv_dim[index]
        self.conv = nn.Conv1d(
            channels_in, channels, config.conv_kernel[index], config.conv_stride[index], bias=config.conv_bias
        )
        self.layer_norm: TimeGroupNorm | ChannelLayerNorm | None = None
        if config.feat_extract_norm == "layer":
            self.layer_norm = ChannelLayerNorm(channels)
        elif index == 0:
            self.layer_norm = TimeGroupNorm(channels)
        self.activation = activation(config.feat_extract_activation)

    def forward(
        self, x: Tensor, lengths: Tensor | None, patches: Patches | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, channels_in, frames_in) -> (batch, channels, frames), with the lengths of both.

        A norm over time takes the moments that follow from `patches`, where they are given.
        """
        x = self.conv(x)
        if lengths is not None:
            lengths = conv_length(lengths, self.conv.kernel_size[0], self.conv.stride[0])
        if isinstance(self.layer_norm, TimeGroupNorm) and patches is not None:
            x = self.layer_norm.by_moments(x, *patches.moments(self.conv))
        elif self.layer_norm is not None:
            x = self.layer_norm(x, lengths)
        return self.activation(x), lengths


class FeatureExtractor(nn.Module):
    """The stack of convolutions: a waveform in, features every `inputs_to_logits_ratio` samples out."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(config, index) for index in range(len(config.conv_dim)))

    def forward(
        self, waveform: Tensor, lengths: Tensor | None = None, patches: Patches | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, samples) -> (batch, frames, channels), with the lengths in samples and in frames.

        Of windows, `patches` are those of the whole recording.
        """
        first, *rest = self.conv_layers
        x, lengths = first(waveform[:, None], lengths, patches)
        for layer in rest:
            x, lengths = layer(x, lengths)
        return x.transpose(1, 2), lengths


class FeatureProjection(nn.Module):
    """Layer norm (HuBERT may leave it out) and projection from the conv stack's size to the transformer's."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.layer_norm = None
        if config.feat_proj_layer_norm:
            self.layer_norm = nn.LayerNorm(config.conv_dim[-1], eps=config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)
        self.dropout = nn.Dropout(config.feat_proj_dropout)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, conv_dim) -> (batch, frames, hidden), and the normalised features that went in."""
        if self.layer_norm is not None:
            features = self.layer_norm(features)
        return self.dropout(self.projection(features)), features
