"""The convolutional adapter that shortens the encoder's output before a text decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.lengths import conv_length, real

PADDING = 1  # frames on each side, whatever the kernel


class AdapterLayer(nn.Module):
    """A strided convolution with a gated linear unit, https://arxiv.org/abs/1612.08083."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        size = config.output_size
        self.conv = nn.Conv1d(size, 2 * size, config.adapter_kernel_size, config.adapter_stride, padding=PADDING)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, size, frames_in) -> (batch, size, frames), with the lengths of both."""
        if lengths is not None:
            x = x * real(lengths, x.shape[-1])[:, None].to(x.dtype)
            lengths = conv_length(lengths, self.conv.kernel_size[0], self.conv.stride[0], PADDING)
        return F.glu(self.conv(x), dim=1), lengths


class Adapter(nn.Module):
    """Projection to the output size where it differs, then the strided layers."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.layerdrop = config.layerdrop
        self.proj: nn.Linear | None = None
        self.proj_layer_norm: nn.LayerNorm | None = None
        if config.output_size != config.hidden_size:
            self.proj = nn.Linear(config.hidden_size, config.output_size)
            self.proj_layer_norm = nn.LayerNorm(config.output_size)
        self.layers = nn.ModuleList(AdapterLayer(config) for _ in range(config.num_adapter_layers))

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames_in, hidden) -> (batch, frames, output), with the lengths of both."""
        if self.proj is not None and self.proj_layer_norm is not None:
            x = self.proj_layer_norm(self.proj(x))
        x = x.transpose(1, 2)  # (batch, output, frames)
        for layer in self.layers:
            if self.training and torch.rand(()) < self.layerdrop:
                continue
            x, lengths = layer(x, lengths)
        return x.transpose(1, 2), lengths
