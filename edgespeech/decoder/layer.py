"""One layer of a text decoder: self-attention, cross-attention and feed-forward, pre- or post-norm."""

from dataclasses import dataclass

from torch import Tensor, nn

from edgespeech.activations import activation
from edgespeech.decoder.attention import Attention, KeyValues, linear
from edgespeech.decoder.configuration import Architecture
from edgespeech.decoder.names import LayerNames, part, place


@dataclass
class Trace:
    """What the caller asked to see on the way: one entry per layer, the input of the first layer before them."""

    hidden_states: list[Tensor] | None = None
    attentions: list[Tensor] | None = None
    cross_attentions: list[Tensor] | None = None

    def saw(self, hidden: Tensor) -> None:
        """Note a layer's output (batch, new, size)."""
        if self.hidden_states is not None:
            self.hidden_states.append(hidden)

    def attended(self, weights: Tensor) -> None:
        """Note a layer's weights over tokens (batch, heads, new, slots + new)."""
        if self.attentions is not None:
            self.attentions.append(weights)

    def listened(self, weights: Tensor) -> None:
        """Note a layer's weights over an encoder's states (batch, heads, new, frames)."""
        if self.cross_attentions is not None:
            self.cross_attentions.append(weights)


class DecoderLayer(nn.Module):
    """Attention to the tokens before, attention to an encoder's states where there are any, feed-forward."""

    def __init__(self, architecture: Architecture, names: LayerNames, index: int) -> None:
        super().__init__()
        self.names = names
        self.pre_norm = architecture.pre_norm
        self.dropout = nn.Dropout(architecture.dropout)
        self.activation_dropout = nn.Dropout(architecture.activation_dropout)
        size, inner, transposed = architecture.size, architecture.inner, architecture.transposed
        for kind in (names.attention, names.cross) if architecture.cross else (names.attention,):
            place(self, kind.module, Attention(architecture, kind, index))
            place(self, kind.norm, nn.LayerNorm(size, eps=architecture.eps))
        place(self, names.feed_in, linear(size, inner, transposed))
        place(self, names.activation, activation(architecture.activation))
        place(self, names.feed_out, linear(inner, size, transposed))
        place(self, names.feed_norm, nn.LayerNorm(size, eps=architecture.eps))

    def cross(self, states: Tensor) -> KeyValues:
        """(batch, frames, size) -> key and value of the cross-attention."""
        key, value = part(self, self.names.cross.module).project(states.flatten(0, 1), states.shape[0], "kv")
        return key, value

    def forward(
        self,
        x: Tensor,
        batch: int,
        bias: Tensor,
        cache: KeyValues | None,
        cross: KeyValues | None,
        cross_bias: Tensor | None,
        trace: Trace,
    ) -> tuple[Tensor, KeyValues]:
        """(batch * new, size) -> the same shape, and key and value of the new tokens; see `TextDecoder.step`."""
        names = self.names
        attention = part(self, names.attention.module)
        query, key, value = attention.project(self._before(names.attention.norm, x), batch, "qkv")
        new = (key, value)
        mixed, weights = attention(query, [new] if cache is None else [cache, new], bias)
        trace.attended(weights)
        x = self._after(names.attention.norm, x, mixed)
        if cross is not None:
            attention = part(self, names.cross.module)
            (query,) = attention.project(self._before(names.cross.norm, x), batch, "q")
            mixed, weights = attention(query, [cross], cross_bias)
            trace.listened(weights)
            x = self._after(names.cross.norm, x, mixed)
        inner = part(self, names.activation)(part(self, names.feed_in)(self._before(names.feed_norm, x)))
        x = self._after(names.feed_norm, x, part(self, names.feed_out)(self.activation_dropout(inner)))
        return x, new

    def _before(self, norm: str, x: Tensor) -> Tensor:
        return part(self, norm)(x) if self.pre_norm else x

    def _after(self, norm: str, x: Tensor, change: Tensor) -> Tensor:
        x = x + self.dropout(change)
        return x if self.pre_norm else part(self, norm)(x)
