"""The transformer: positional convolution, attention and feed-forward layers, pre- or post-norm."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from edgespeech.activations import activation
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.lengths import real

MASKED = -1e4  # added to the scores of padded frames: exp underflows to 0 in float32, and float16 can hold it


class PositionalConv(nn.Module):
    """A grouped convolution over time whose output is added to its input in place of position embeddings.

    `before` counts the frames of zeros to the left; with `taps - 1 - before` to the right, the length stays as it is.
    """

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        kernel = config.num_conv_pos_embeddings
        self.before = kernel // 2
        self.conv = nn.Conv1d(
            config.hidden_size,
            config.hidden_size,
            kernel,
            padding=kernel // 2,
            groups=config.num_conv_pos_embedding_groups,
        )
        self.batch_norm = nn.BatchNorm1d(config.hidden_size) if config.conv_pos_batch_norm else None
        if self.batch_norm is None:
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
        return self.activation(x).transpose(1, 2)

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


def within(weight: Tensor, before: int, frames: int) -> tuple[Tensor, int]:
    """The taps of a kernel (channels, channels in a group, taps) that can see one of `frames`; and the zeros before."""
    first, last = max(0, before - frames + 1), min(weight.shape[2], before + frames)
    if first >= last:  # none can
        return torch.zeros_like(weight[:, :, :1]), 0
    return weight[:, :, first:last], before - first


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.head_dim = size // self.heads
        self.dropout = nn.Dropout(config.attention_dropout)
        self.k_proj = nn.Linear(size, size)
        self.v_proj = nn.Linear(size, size)
        self.q_proj = nn.Linear(size, size)
        self.out_proj = nn.Linear(size, size)

    def forward(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """(batch, frames, hidden) -> (batch, frames, hidden), weights (batch, heads, frames, frames).

        `bias` (batch, 1, 1, frames) is added to the scores.
        """
        query = self.split(self.q_proj(x)) * self.head_dim**-0.5
        key, value = self.split(self.k_proj(x)), self.split(self.v_proj(x))
        scores = query @ key.transpose(2, 3)  # (batch, heads, frames, frames)
        if bias is not None:
            scores = scores + bias
        weights = self.dropout(scores.softmax(-1))
        mixed = (weights @ value).transpose(1, 2)  # (batch, frames, heads, head_dim)
        return self.out_proj(mixed.flatten(2)), weights

    def split(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, heads, frames, head_dim)."""
        return x.view(*x.shape[:2], self.heads, self.head_dim).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = activation(config.hidden_act)
        self.intermediate_dropout = nn.Dropout(config.activation_dropout)
        self.output_dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.output_dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames, hidden)."""
        x = self.intermediate_dropout(self.intermediate_act_fn(self.intermediate_dense(x)))
        return self.output_dropout(self.output_dense(x))


class LanguageAdapter(nn.Module):
    """The bottleneck that MMS inserts after each layer, one set of weights per language."""

    def __init__(self, hidden_size: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden_size)
        self.linear_1 = nn.Linear(hidden_size, bottleneck)
        self.linear_2 = nn.Linear(bottleneck, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> what is to be added to it."""
        return self.linear_2(self.linear_1(self.norm(x)).relu())


class TransformerLayer(nn.Module):
    """Attention and feed-forward with their norms before (`do_stable_layer_norm`) or after them."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.pre_norm = config.do_stable_layer_norm
        self.attention = Attention(config)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.adapter_layer = None
        if self.pre_norm and config.adapter_attn_dim is not None:
            self.adapter_layer = LanguageAdapter(config.hidden_size, config.adapter_attn_dim)

    def forward(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """(batch, frames, hidden) -> (batch, frames, hidden), attention weights."""
        mixed, weights = self.attention(self.layer_norm(x) if self.pre_norm else x, bias)
        x = x + self.dropout(mixed)
        if self.pre_norm:
            x = x + self.feed_forward(self.final_layer_norm(x))
        else:
            x = self.layer_norm(x)
            x = self.final_layer_norm(x + self.feed_forward(x))
        if self.adapter_layer is not None:
            x = x + self.adapter_layer(x)
        return x, weights


@dataclass
class Trace:
    """What the caller asked to see on the way: one entry per layer, the input of the first layer before them."""

    hidden_states: list[Tensor] | None = None
    attentions: list[Tensor] | None = None

    def saw(self, hidden: Tensor, weights: Tensor | None = None) -> None:
        """Note a layer's output (batch, frames, hidden) and attention weights."""
        if self.hidden_states is not None:
            self.hidden_states.append(hidden)
        if self.attentions is not None and weights is not None:
            self.attentions.append(weights)


class Transformer(nn.Module):
    """Positional convolution and layers. Its layer norm stands before the layers, or with pre-norm after them."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.pre_norm = config.do_stable_layer_norm
        self.layerdrop = config.layerdrop
        self.pos_conv_embed = PositionalConv(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor, lengths: Tensor | None, trace: Trace) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames, hidden); `lengths` (batch,) counts the real frames."""
        mask = real(lengths, x.shape[1]) if lengths is not None else None
        bias = None
        if mask is not None:
            x = x * mask[:, :, None].to(x.dtype)
            bias = (~mask)[:, None, None].to(x.dtype) * MASKED
        x = x + self.pos_conv_embed(x, mask)
        if not self.pre_norm:
            x = self.layer_norm(x)
        x = self.dropout(x)
        trace.saw(x)
        for layer in self.layers:
            if self.training and torch.rand(()) < self.layerdrop:  # https://arxiv.org/abs/1909.11556
                trace.saw(x)  # one state for each layer, which a weighted sum of them needs
                continue
            x, weights = layer(x, bias)
            trace.saw(x, weights)
        return self.layer_norm(x) if self.pre_norm else x
