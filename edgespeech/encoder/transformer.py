"""The transformer: attention and feed-forward layers, pre- or post-norm. Where frames stand is said in `positions`."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.activations import activation
from edgespeech.base.recomputing import Layers
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder.lengths import real
from edgespeech.encoder.positions import RelativePositions, positional

MASKED = -1e4  # added to the scores of padded frames: exp underflows to 0 in float32, and float16 can hold it
GATE_TERMS = 4  # outputs whose sum is one gate, in every checkpoint


class Attention(nn.Module):
    """Multi-head self-attention. With relative positions each head has biases by distance, and a gate for each frame.

    Biases are those of the first layer in all, gates each layer's own: https://arxiv.org/abs/2110.13900 (section 3.2).
    """

    def __init__(self, config: SpeechEncoderConfig, is_first: bool) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.head_dim = size // self.heads
        self.dropout = nn.Dropout(config.attention_dropout)
        self.k_proj = nn.Linear(size, size)
        self.v_proj = nn.Linear(size, size)
        self.q_proj = nn.Linear(size, size)
        self.out_proj = nn.Linear(size, size)
        if config.relative_positions is not None:
            self.gru_rel_pos_const = nn.Parameter(torch.ones(1, self.heads, 1, 1))
            self.gru_rel_pos_linear = nn.Linear(self.head_dim, 2 * GATE_TERMS)
            if is_first:
                self.rel_attn_embed = RelativePositions(*config.relative_positions, self.heads)

    def forward(self, x: Tensor, bias: Tensor | None, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, frames, hidden) -> (batch, frames, hidden), weights (batch, heads, frames, frames).

        `bias` (batch, 1, 1, frames) is added to the scores, and so are `positions` (heads, frames, frames), gated.
        """
        query = self.split(self.q_proj(x)) * self.head_dim**-0.5
        key, value = self.split(self.k_proj(x)), self.split(self.v_proj(x))
        scores = query @ key.transpose(2, 3)  # (batch, heads, frames, frames)
        if positions is not None:
            scores = scores + self.gate(x) * positions
        if bias is not None:
            scores = scores + bias
        weights = self.dropout(scores.softmax(-1))
        mixed = (weights @ value).transpose(1, 2)  # (batch, frames, heads, head_dim)
        return self.out_proj(mixed.flatten(2)), weights

    def gate(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> the factor on the biases of each frame, (batch, heads, frames, 1).

        Two gates follow from a frame's own channels of a head; each is a sum of terms, whose weights are added first.
        """
        layer = self.gru_rel_pos_linear
        weight = layer.weight.view(2, GATE_TERMS, self.head_dim).sum(1)  # (2, head_dim)
        gates = F.linear(self.split(x), weight, layer.bias.view(2, GATE_TERMS).sum(1)).sigmoid()
        update, reset = gates[..., :1], gates[..., 1:]
        return update * (reset * self.gru_rel_pos_const - 1) + 2

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

    def __init__(self, config: SpeechEncoderConfig, is_first: bool = False) -> None:
        super().__init__()
        self.pre_norm = config.do_stable_layer_norm
        self.attention = Attention(config, is_first)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.adapter_layer = None
        if self.pre_norm and config.adapter_attn_dim is not None:
            self.adapter_layer = LanguageAdapter(config.hidden_size, config.adapter_attn_dim)

    def forward(self, x: Tensor, bias: Tensor | None, positions: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, frames, hidden) -> (batch, frames, hidden), attention weights; see `Attention` for the rest."""
        mixed, weights = self.attention(self.layer_norm(x) if self.pre_norm else x, bias, positions)
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


class Transformer(Layers):
    """Positional convolution and layers. Its layer norm stands before the layers, or with pre-norm after them."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__()
        self.pre_norm = config.do_stable_layer_norm
        self.layerdrop = config.layerdrop
        self.pos_conv_embed = positional(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(TransformerLayer(config, n == 0) for n in range(config.num_hidden_layers))
        self.has_relative_positions = config.relative_positions is not None and config.num_hidden_layers > 0

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
        positions = self.positions(x.shape[1])
        for index, layer in enumerate(self.layers):
            is_droppable = self.training and (index > 0 or positions is None)
            if is_droppable and torch.rand(()) < self.layerdrop:  # https://arxiv.org/abs/1909.11556
                trace.saw(x)  # one state for each layer, which a weighted sum of them needs
                continue
            x, weights = self.run(layer, x, bias, positions)
            if positions is not None and trace.attentions is not None:  # as the reference library shows them
                weights = weights.mean(1, keepdim=True).expand_as(weights)
            trace.saw(x, weights)
        return self.layer_norm(x) if self.pre_norm else x

    def positions(self, frames: int) -> Tensor | None:
        """Return the biases by distance that all layers share, (heads, frames, frames); None where there are none."""
        if not self.has_relative_positions:
            return None
        biases: Tensor = self.layers[0].attention.rel_attn_embed(frames)  # type: ignore[union-attr, operator]
        return biases
