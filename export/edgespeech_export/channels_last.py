"""The conv stack with channels last: each convolution as one matrix product over windows of its input.

It computes what `edgespeech.encoder.features` computes. Engines whose convolutions run below the speed of their matrix
products gain by it; which do is decided in `writers`, from measurements.
"""

import copy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.encoder.features import ChannelLayerNorm, ConvLayer, FeatureExtractor
from edgespeech.encoder.lengths import conv_length
from edgespeech.models.speech import SpeechModel

ModelT = TypeVar("ModelT", bound=nn.Module)


def with_channels_last(model: ModelT, encoder: SpeechModel) -> ModelT:
    """Return a copy of a model whose conv stack, in `encoder`, has its channels last."""
    memo: dict[int, Any] = {}
    model = copy.deepcopy(model, memo)
    copied: SpeechModel = memo[id(encoder)]
    copied.feature_extractor = ChannelsLastExtractor(copied.feature_extractor)  # type: ignore[assignment]
    return model


class ChannelsLastExtractor(nn.Module):
    """Takes the place of `FeatureExtractor`."""

    def __init__(self, stack: FeatureExtractor) -> None:
        super().__init__()
        first, *rest = stack.conv_layers
        self.first = PatchMatMul(first)  # type: ignore[arg-type]
        self.rest = nn.ModuleList(StridedMatMul(layer) for layer in rest)  # type: ignore[arg-type]

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(batch, samples) -> (batch, frames, channels), with the lengths in samples and in frames."""
        x, lengths = self.first(waveform[:, None], lengths)
        for layer in self.rest:
            x, lengths = layer(x, lengths)
        return x, lengths


class PatchMatMul(nn.Module):
    """The first convolution, of one input channel: patches of the waveform, then a matrix product."""

    def __init__(self, layer: ConvLayer) -> None:
        super().__init__()
        conv = layer.conv
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        self.register_buffer("identity", torch.eye(self.kernel)[:, None], persistent=False)
        self.weight = nn.Parameter(conv.weight[:, 0].contiguous())  # (channels, kernel)
        self.bias = conv.bias
        self.layer_norm = layer.layer_norm
        self.activation = layer.activation

    def forward(self, waveform: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, 1, samples) -> (batch, frames, channels), with the lengths of both."""
        patches = F.conv1d(waveform, self.get_buffer("identity"), stride=self.stride)  # (batch, kernel, frames)
        if lengths is not None:
            lengths = conv_length(lengths, self.kernel, self.stride)
        x = self.weight @ patches  # (batch, channels, frames)
        if self.bias is not None:
            x = x + self.bias[:, None]
        if self.layer_norm is not None:
            x = self.layer_norm(x, lengths)
        return self.activation(x).transpose(1, 2), lengths


class StridedMatMul(nn.Module):
    """A convolution of kernel k and stride s as a matrix product over windows of k frames.

    Frames are cut into blocks of s; a window is a block and what it needs of the next ones. So the frames are copied
    once, in order, whatever the stride.
    """

    def __init__(self, layer: ConvLayer) -> None:
        super().__init__()
        conv = layer.conv
        self.kernel, self.stride, self.channels = conv.kernel_size[0], conv.stride[0], conv.in_channels
        self.weight = nn.Parameter(conv.weight.permute(2, 1, 0).reshape(-1, conv.out_channels).contiguous())
        self.bias = conv.bias
        self.layer_norm: nn.LayerNorm | None = None
        if isinstance(layer.layer_norm, ChannelLayerNorm):
            self.layer_norm = nn.LayerNorm(conv.out_channels, layer.layer_norm.eps)
            self.layer_norm.load_state_dict(layer.layer_norm.state_dict())
        self.activation = layer.activation

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames_in, channels_in) -> (batch, frames, channels), with the lengths of both."""
        x = self.windows(x) @ self.weight
        if self.bias is not None:
            x = x + self.bias
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        if lengths is not None:
            lengths = conv_length(lengths, self.kernel, self.stride)
        return self.activation(x), lengths

    def windows(self, x: Tensor) -> Tensor:
        """(batch, frames_in, channels_in) -> (batch, frames, kernel * channels_in)."""
        batch, frames_in, _ = x.shape
        frames = conv_length(frames_in, self.kernel, self.stride)
        reach = -(-self.kernel // self.stride)  # blocks that a window touches
        x = F.pad(x, (0, 0, 0, (frames + reach - 1) * self.stride - frames_in))  # less than nothing cuts off
        blocks = x.reshape(batch, -1, self.stride * self.channels)
        widths = [min(self.stride, self.kernel - block * self.stride) * self.channels for block in range(reach)]
        if reach == 1:
            return blocks[:, :, : widths[0]]
        parts = [blocks[:, block : blocks.shape[1] - reach + 1 + block, :width] for block, width in enumerate(widths)]
        return torch.cat(parts, dim=-1)
