"""What tells the transformer where a frame stands: convolutions over time, and biases by distance for attention."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from edgespeech.activations import activation
from edgespeech.configuration import SpeechEncoderConfig


class PositionalConv(nn.Module):
    """A grouped convolution over time in place of position embeddings.

    `before` counts the frames of zeros to the left; with `taps - 1 - before` to the right, the length stays as it is.
    Its weight is normalised, or batch norm stands before it; in a stack, a norm over channels stands behind it instead.
    """

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        kernel = config.positional_kernel
        self.before = kernel // 2
        self.conv = nn.Conv1d(
            config.hidden_size,
            config.hidden_size,
            kernel,
            padding=kernel // 2,
            groups=config.num_conv_pos_embedding_groups,
        )
        self.batch_norm = nn.BatchNorm1d(config.hidden_size) if config.conv_pos_batch_norm else None
        self.layer_norm: nn.LayerNorm | None = None
        if config.positional_layers is not None:
            self.layer_norm = nn.LayerNorm(config.hidden_size, elementwise_affine=False)
        elif self.batch_norm is None:
            parametrizations.weight_norm(self.conv, name="weight", dim=2)
        self.surplus = 1 - kernel % 2  # an even kernel with kernel // 2 of padding gives one frame too many
        self.activation = activation(config.feat_extract_activation)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, hidden) -> the same shape; frames where `mask` (batch, frames) is false count as zero."""
        x = x.transpose(1, 2)  # (batch, hidden, frames)
        if self.batch_norm is not None:
            x = self.batch_norm(x)
        if mask is not None:
            x = x * mask[:, None].to(x.dtype)
        x = self.depthwise(x) if self.is_depthwise else self.conv(x)
        if self.surplus and not self.is_depthwise:
            x = x[:, :, : -self.surplus]
        return self.activated(x)

    def activated(self, x: Tensor) -> Tensor:
        """(batch, hidden, frames) of the convolution -> (batch, frames, hidden), normalised where that comes behind."""
        if self.layer_norm is not None:
            return self.activation(self.layer_norm(x.transpose(1, 2)))
        return self.activation(x).transpose(1, 2)

    @property
    def reach(self) -> int:
        """Frames on one side, that with more of them, that are seen of a frame."""
        return max(self.before, self.conv.kernel_size[0] - 1 - self.before, 0)

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has a kernel of its own."""
        return self.conv.groups == self.conv.out_channels

    def depthwise(self, x: Tensor) -> Tensor:
        """(batch, hidden, frames) -> the same shape, as a convolution over an image of one row.

        That form has fast kernels everywhere: ONNX Runtime takes 8 to 20 times as long for the other one, where the
        kernel spans hundreds of frames. Taps that reach beyond the audio see only zeros; where its length is known,
        they are left out.
        """
        weight, before = self.conv.weight, self.before
        if not torch.compiler.is_exporting():
            weight, before = within(weight, before, x.shape[2])
        return self.over_row(F.pad(x, (before, weight.shape[2] - 1 - before)), weight)

    def over_row(self, x: Tensor, weight: Tensor) -> Tensor:
        """(batch, hidden, frames + taps - 1) with a kernel (hidden, 1, taps) -> (batch, hidden, frames)."""
        return F.conv2d(x.unsqueeze(2), weight.unsqueeze(2), self.conv.bias, groups=self.conv.groups).squeeze(2)

    @torch.no_grad()
    def trim(self) -> None:
        """Leave out taps at the ends of a kernel for each channel that are zero in all; weight norm must be folded."""
        used = self.conv.weight.ne(0).any(dim=1).any(dim=0).nonzero()
        if self.is_depthwise and len(used):
            first, last = int(used[0]), int(used[-1]) + 1
            self.conv.weight = nn.Parameter(self.conv.weight[:, :, first:last].clone(), requires_grad=False)
            self.conv.kernel_size = (last - first,)
            self.before -= first


class PositionalStack(nn.Module):
    """Several such convolutions, one behind the other, as data2vec has them."""

    def __init__(self, config: SpeechEncoderConfig, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PositionalConv(config) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, frames, hidden) -> the same shape; for `mask` see `PositionalConv`."""
        for layer in self.layers:
            x = layer(x, mask)
        return x

    @property
    def reach(self) -> int:
        """See `PositionalConv.reach`; each layer sees beyond what the one before it saw."""
        return sum(layer.reach for layer in self.layers)  # type: ignore[misc]  # they are no bare modules


def positional(config: SpeechEncoderConfig) -> PositionalConv | PositionalStack:
    """Return what a configuration has in place of position embeddings; its output is added to its input."""
    layers = config.positional_layers
    return PositionalConv(config) if layers is None else PositionalStack(config, layers)


def within(weight: Tensor, before: int, frames: int) -> tuple[Tensor, int]:
    """The taps of a kernel (channels, channels in a group, taps) that can see one of `frames`; and the zeros before."""
    first, last = max(0, before - frames + 1), min(weight.shape[2], before + frames)
    if first >= last:  # none can
        return torch.zeros_like(weight[:, :, :1]), 0
    return weight[:, :, first:last], before - first


class RelativePositions(nn.Embedding):
    """A bias for each head by the distance between two frames, https://arxiv.org/abs/2110.13900 (section 3.2).

    Half of the buckets is for frames that come later. Half of a half has a distance each, the rest grows with the
    logarithm; from `furthest` frames on, all share the last.
    """

    def __init__(self, buckets: int, furthest: int, heads: int) -> None:
        super().__init__(buckets, heads)
        self.furthest = furthest
        self.register_buffer("bucket", buckets_of_distances(buckets, furthest), persistent=False)

    def forward(self, frames: int) -> Tensor:  # type: ignore[override]
        """Return the biases (heads, frames, frames), of what a frame (row) says to another (column)."""
        by_distance = super().forward(self.get_buffer("bucket")).T  # (heads, distances)
        position = torch.arange(frames, device=by_distance.device)
        distance = (position - position[:, None]).clamp(-self.furthest, self.furthest) + self.furthest
        return by_distance.index_select(1, distance.flatten()).view(-1, frames, frames)


def buckets_of_distances(buckets: int, furthest: int) -> Tensor:
    """Return the number of the bucket for each distance from -`furthest` to `furthest`, in order.

    Worked out once in float32, as the reference library does it for each pair of frames: no graph need compute a
    logarithm, whose last digit may decide between two buckets.
    """
    half = buckets // 2
    exact = half // 2
    distance = torch.arange(-furthest, furthest + 1)
    far = torch.log(distance.abs().float() / exact) / math.log(furthest / exact) * (half - exact)
    logarithmic = (exact + far.clamp_min(0)).long().clamp_max(half - 1)
    return torch.where(distance.abs() < exact, distance.abs(), logarithmic) + (distance > 0) * half
