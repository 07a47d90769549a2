"""The conv stack with channels last: each convolution as one matrix product over windows of its input.

It computes what `edgespeech.encoder.features` computes. Engines whose convolutions run below the speed of their matrix
products gain by it; which do is decided in `writers`, from measurements.
"""

import copy
import math
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.encoder.features import ChannelLayerNorm, ConvLayer, FeatureExtractor, Patches, TimeGroupNorm
from edgespeech.encoder.lengths import conv_length, real
from edgespeech.models.speech import SpeechModel

ModelT = TypeVar("ModelT", bound=nn.Module)


def with_channels_last(model: ModelT, encoder: SpeechModel) -> ModelT:
    """Return a copy of a model whose conv stack, in `encoder`, has its channels last; the rest has the same tensors."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    model = copy.deepcopy(model, memo)
    copied: SpeechModel = memo[id(encoder)]
    copied.feature_extractor = ChannelsLastExtractor(copied.feature_extractor)  # type: ignore[assignment]
    return model


class ChannelsLastExtractor(nn.Module):
    """Takes the place of `FeatureExtractor`; its weights keep their names."""

    def __init__(self, stack: FeatureExtractor) -> None:
        super().__init__()
        first, *rest = stack.conv_layers
        layers = [PatchMatMul(first), *(StridedMatMul(layer) for layer in rest)]  # type: ignore[arg-type]
        self.conv_layers = nn.ModuleList(layers)

    def forward(
        self, waveform: Tensor, lengths: Tensor | None = None, patches: Patches | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, samples) -> (batch, frames, channels), with the lengths in samples and in frames.

        Of windows, `patches` are those of the whole recording.
        """
        first, *rest = self.conv_layers
        x, lengths = first(waveform, lengths, patches)
        for layer in rest:
            x, lengths = layer(x, lengths)
        return x, lengths


class Product(nn.Module):
    """A convolution's weight as a matrix: (batch, frames, inputs) -> (batch, frames, channels)."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.contiguous(), requires_grad=False)  # (inputs, channels)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, and add the bias where there is one."""
        x = x @ self.weight
        return x if self.bias is None else x + self.bias


class PatchMatMul(nn.Module):
    """The first convolution, of one input channel: patches of the waveform, then a matrix product.

    A group norm after it needs no pass over the output: mean and variance of a channel with weights w follow from the
    mean m and the covariance C of the patches, as w.m and w.C w, so that the norm is a factor on w and a bias, those of
    each utterance. The patches are given in the cosine basis, in which their components hardly correlate; in that of
    samples w.C w would be a small difference of large numbers for a w that sees only high frequencies.
    """

    def __init__(self, layer: ConvLayer) -> None:
        super().__init__()
        conv = layer.conv
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        basis = cosines(self.kernel)
        self.register_buffer("basis", basis.float()[:, None], persistent=False)
        weight = (basis @ conv.weight[:, 0].double().T).to(conv.weight.dtype)  # (kernel, channels)
        self.group_norm = layer.layer_norm if isinstance(layer.layer_norm, TimeGroupNorm) else None
        # A group norm takes away what a bias adds.
        self.conv = Product(weight, None if self.group_norm is not None else conv.bias)
        self.layer_norm = as_last(layer.layer_norm)
        self.activation = layer.activation

    def forward(
        self, waveform: Tensor, lengths: Tensor | None, whole: Patches | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, samples) -> (batch, frames, channels), with the lengths of both; for `whole` see `normalized`."""
        mask = None
        if lengths is not None:
            lengths = conv_length(lengths, self.kernel, self.stride)
            mask = real(lengths, conv_length(waveform.shape[1], self.kernel, self.stride)).to(waveform.dtype)
        return self.masked(waveform, mask, whole), lengths

    def masked(self, waveform: Tensor, mask: Tensor | None, whole: Patches | None = None) -> Tensor:
        """(batch, samples) -> (batch, frames, channels); `mask` (batch, frames) is 1 on real frames, 0 on others."""
        patches = F.conv1d(waveform[:, None], self.get_buffer("basis"), stride=self.stride)  # (batch, kernel, frames)
        if self.group_norm is not None:
            x = self.normalized(patches, mask, self.group_norm, whole)
        else:
            x = self.conv(patches.transpose(1, 2))
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        return self.activation(x)

    def normalized(
        self, patches: Tensor, mask: Tensor | None, norm: TimeGroupNorm, whole: Patches | None = None
    ) -> Tensor:
        """(batch, kernel, frames) -> (batch, frames, channels) after convolution and norm over the real frames.

        The norm is over the `whole` recording instead where its patches are given.
        """
        if whole is not None:
            basis = self.get_buffer("basis")
            spread = F.conv1d(whole.spread[:, None], basis).squeeze(2)  # (axes, kernel)
            centred, covariance = patches - F.conv1d(whole.mean[None, None], basis), (spread.T @ spread)[None]
        elif mask is None:
            centred = patches - patches.mean(2, keepdim=True)
            covariance = centred @ centred.transpose(1, 2) / patches.shape[2]  # (batch, kernel, kernel)
        else:
            mask = mask[:, None]
            count = mask.sum(2, keepdim=True)
            centred = (patches - (patches * mask).sum(2, keepdim=True) / count) * mask
            covariance = centred @ centred.transpose(1, 2) / count
        weight = self.conv.weight
        variance = ((covariance @ weight) * weight).sum(1, keepdim=True)  # (batch, 1, channels)
        scaled = weight * (norm.weight * torch.rsqrt(variance + norm.eps))
        return centred.transpose(1, 2) @ scaled + norm.bias


class StridedMatMul(nn.Module):
    """A convolution of kernel k and stride s as a matrix product over windows of k frames.

    Frames are cut into blocks of s; a window is a block and what it needs of the next ones. So the frames are copied
    once, in order, whatever the stride.
    """

    def __init__(self, layer: ConvLayer) -> None:
        super().__init__()
        conv = layer.conv
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        self.conv = Product(conv.weight.permute(2, 1, 0).reshape(-1, conv.out_channels), conv.bias)
        self.layer_norm = as_last(layer.layer_norm)
        self.activation = layer.activation

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(batch, frames_in, channels_in) -> (batch, frames, channels), with the lengths of both."""
        x = self.conv(windows(x, self.kernel, self.stride))
        if self.layer_norm is not None:
            x = self.layer_norm(x)
        if lengths is not None:
            lengths = conv_length(lengths, self.kernel, self.stride)
        return self.activation(x), lengths


def windows(x: Tensor, kernel: int, stride: int) -> Tensor:
    """(batch, frames_in, channels_in) -> (batch, frames, kernel * channels_in)."""
    batch, frames_in, channels = x.shape
    frames = conv_length(frames_in, kernel, stride)
    reach = -(-kernel // stride)  # blocks that a window touches
    x = F.pad(x, (0, 0, 0, (frames + reach - 1) * stride - frames_in))  # less than nothing cuts off
    blocks = x.reshape(batch, -1, stride * channels)
    widths = [min(stride, kernel - block * stride) * channels for block in range(reach)]
    if reach == 1:
        return blocks[:, :, : widths[0]]
    parts = [blocks[:, block : blocks.shape[1] - reach + 1 + block, :width] for block, width in enumerate(widths)]
    return torch.cat(parts, dim=-1)


def as_last(norm: nn.Module | None) -> nn.LayerNorm | None:
    """Return a norm over channels for frames whose channels are last; None for other norms."""
    if not isinstance(norm, ChannelLayerNorm):
        return None
    last = nn.LayerNorm(norm.normalized_shape, norm.eps)
    last.load_state_dict(norm.state_dict())
    return last


def cosines(size: int) -> Tensor:
    """Return the orthonormal cosine basis (DCT-II), one vector a row: float64 (size, size)."""
    order = torch.arange(size, dtype=torch.float64)
    basis = math.sqrt(2 / size) * torch.cos(math.pi / size * torch.outer(order, order + 0.5))
    basis[0] /= math.sqrt(2)
    return basis
