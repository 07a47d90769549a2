"""The text decoder: tokens and an encoder's states to logits.

What was computed for earlier tokens goes in and comes out as a value; nothing is kept between calls. Which token comes
next is the caller's choice.
"""

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.activations import activation
from edgespeech.base.outputs import CausalLMOutput
from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.decoder import loading
from edgespeech.decoder.attention import KeyValues
from edgespeech.decoder.configuration import Architecture, TextDecoderConfig
from edgespeech.decoder.drawing import draw
from edgespeech.decoder.layer import DecoderLayer, Trace
from edgespeech.decoder.names import DecoderNames, part, place
from edgespeech.decoder.positions import LearnedPositions, SinusoidalPositions
from edgespeech.decoder.sequences import causal_bias, check_sequences, check_states, padding_bias, traced
from edgespeech.errors import ConfigError

Cache = tuple[KeyValues, ...]  # one per layer


class Geometry(NamedTuple):
    """The shape of a cache: layers, and (batch, heads, length, head_dim) of each key and value."""

    layers: int
    heads: int
    head_dim: int


class TextDecoder(PreTrainedModel):
    """A causal decoder with a head. The families' classes set their configuration and names."""

    names: ClassVar[DecoderNames]
    shifts_labels: ClassVar[bool]  # whether `forward` compares each position with the label after it

    config: Any
    final_logits_bias: Tensor | None

    def __init__(self, config: TextDecoderConfig) -> None:
        super().__init__()
        if not isinstance(config, self.config_class):
            raise ConfigError(
                f"{type(self).__name__} needs a {self.config_class.__name__}, got a {type(config).__name__}"
            )
        self.config = config
        self.architecture = checked(config)
        self._place_embeddings(self.architecture)
        layer = self.names.layer
        layers = (DecoderLayer(self.architecture, layer, index) for index in range(self.architecture.layers))
        place(self, self.names.layers, nn.ModuleList(layers))
        if self.names.final_norm is not None:
            place(self, self.names.final_norm, self._norm(self.architecture))
        self._place_head(self.architecture)
        self.register_buffer("final_logits_bias", None)  # (1, vocabulary) where a checkpoint has one
        draw(self, self.architecture)

    def _place_embeddings(self, architecture: Architecture) -> None:
        names, size = self.names, architecture.size
        place(self, names.tokens, nn.Embedding(architecture.vocab_size, size, padding_idx=architecture.padding))
        positions: nn.Module
        if architecture.sinusoidal:
            positions = SinusoidalPositions(architecture.max_positions, size, architecture.padding or 0)
        else:
            positions = LearnedPositions(architecture.max_positions, size, architecture.offset)
        place(self, names.positions, positions)
        if names.types is not None:
            place(self, names.types, nn.Embedding(architecture.types, size))
        if names.embedding_norm is not None:
            place(self, names.embedding_norm, self._norm(architecture))
        self.embedding_dropout = nn.Dropout(architecture.embedding_dropout)

    def _place_head(self, architecture: Architecture) -> None:
        names, size = self.names, architecture.size
        if names.head_bias is not None:
            place(self, names.head_bias, nn.Parameter(torch.zeros(architecture.vocab_size)))
        if names.transform and names.transform_activation and names.transform_norm:
            place(self, names.transform, nn.Linear(size, size))
            place(self, names.transform_activation, activation(architecture.activation))
            place(self, names.transform_norm, self._norm(architecture))
        head = nn.Linear(size, architecture.vocab_size, bias=names.head_bias is not None)
        place(self, names.head, head)
        if architecture.tied:
            head.weight = part(self, names.tokens).weight
            if names.head_bias is not None:
                head.bias = part(self, names.head_bias)

    @staticmethod
    def _norm(architecture: Architecture) -> nn.LayerNorm:
        return nn.LayerNorm(architecture.size, eps=architecture.eps)

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `PreTrainedModel.adopted`; weights may also be those of a model with another head, or a text encoder."""
        return loading.adopted(self, weights)

    def completed(self, weights: dict[str, Tensor], source: str) -> dict[str, Tensor]:
        """See `PreTrainedModel.completed`: cross-attention and head are drawn where the checkpoint has none of them.

        Warns:
            UserWarning: names the weights that are fresh.
        """
        return loading.completed(self, weights, source)

    def untie(self) -> None:
        """Give the head weights of its own, which begin as the token table's; the configuration says so too."""
        self.config.tie_word_embeddings = False
        self.architecture = replace(self.architecture, tied=False)
        head = self.get_output_embeddings()
        head.weight = nn.Parameter(head.weight.detach().clone())
        if self.names.head_bias is not None:
            head.bias = nn.Parameter(head.bias.detach().clone())

    @property
    def hidden_size(self) -> int:
        """Channels of the decoder, and of the encoder's states that `cross` takes."""
        return self.architecture.size

    @property
    def vocab_size(self) -> int:
        """Rows of the token table, and logits of each position."""
        return self.architecture.vocab_size

    @property
    def max_length(self) -> int | None:
        """Positions in the table: how many tokens a sequence may have; None would mean any number."""
        return self.architecture.max_positions

    @property
    def geometry(self) -> Geometry:
        """The shape of the caches."""
        return Geometry(self.architecture.layers, self.architecture.heads, self.architecture.head_dim)

    @property
    def layers(self) -> Any:
        """The layers, first to last."""
        return part(self, self.names.layers)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the token table."""
        return part(self, self.names.tokens)

    def get_output_embeddings(self) -> nn.Linear:
        """Return the last linear layer, whose weight is the token table's where they are tied."""
        return part(self, self.names.head)

    def cross(self, states: Tensor) -> Cache:
        """Compute what all layers attend to: (batch, frames, size) -> keys and values (batch, heads, frames, head_dim).

        Raises:
            ConfigError: the decoder has no cross-attention.
        """
        if not self.architecture.cross:
            raise ConfigError(
                f"this {type(self).__name__} has no cross-attention to an encoder's states; "
                "set add_cross_attention=True in its configuration"
            )
        return tuple(layer.cross(states) for layer in self.layers)

    def step(
        self,
        tokens: Tensor,
        positions: Tensor,
        bias: Tensor,
        cache: Cache,
        cross: Cache,
        cross_bias: Tensor | None = None,
    ) -> tuple[Tensor, Cache]:
        """Read new tokens: (batch, new) -> logits (batch, new, vocabulary) and the new columns of the cache.

        Several new tokens may be a sequence, or alternatives to each other: `bias` says what each one sees.

        Args:
            tokens: ids of the new tokens.
            positions: 0 for a sequence's first token.
            bias: (batch, 1, new, slots + new), added to the scores over the cache and then the new tokens; 0 where a
                token sees, largely negative where it does not.
            cache: per layer key and value (batch, heads, slots, head_dim) of earlier tokens, as this method gave
                them; `()` is one without slots.
            cross: what `cross` gave, or `()` for a decoder on its own.
            cross_bias: (batch, 1, 1, frames), largely negative on padded frames.

        Returns:
            logits, and per layer key and value (batch, heads, new, head_dim) of the new tokens alone. While layers are
            dropped in training, these columns are those of the layers that ran.
        """
        x, new = self._decode(tokens, positions, bias, cache, cross, cross_bias, Trace())
        return self._logits(x).view(*tokens.shape, -1), new

    def _decode(
        self,
        tokens: Tensor,
        positions: Tensor,
        bias: Tensor,
        cache: Cache,
        cross: Cache,
        cross_bias: Tensor | None,
        trace: Trace,
    ) -> tuple[Tensor, Cache]:
        """Return the last states (batch * new, size) and the new columns.

        Rows of one matrix, not (batch, new, size): so each linear layer is one Gemm with its bias in an exported graph,
        which engines run faster than a product and a sum.
        """
        x = self._embed(tokens, positions)
        trace.saw(x)
        x, shape = x.flatten(0, 1), x.shape
        columns = []
        for index, layer in enumerate(self.layers):
            if self.training and self.architecture.layerdrop and torch.rand([]) < self.architecture.layerdrop:
                continue  # https://arxiv.org/abs/1909.11556
            before, crossed = (cache[index] if cache else None), (cross[index] if cross else None)
            x, new = layer(x, shape[0], bias, before, crossed, cross_bias, trace)
            trace.saw(x.view(shape))
            columns.append(new)
        if self.names.final_norm is not None:
            x = part(self, self.names.final_norm)(x)
        return x, tuple(columns)

    def _embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        names = self.names
        x = part(self, names.tokens)(tokens)
        if self.architecture.embedding_scale != 1.0:
            x = x * self.architecture.embedding_scale
        if names.types is not None:
            x = x + part(self, names.types).weight[0]
        x = x + part(self, names.positions)(tokens, positions)
        if names.embedding_norm is not None:
            x = part(self, names.embedding_norm)(x)
        return self.embedding_dropout(x)

    def _logits(self, x: Tensor) -> Tensor:
        names = self.names
        if names.transform and names.transform_activation and names.transform_norm:
            x = part(self, names.transform_activation)(part(self, names.transform)(x))
            x = part(self, names.transform_norm)(x)
        logits: Tensor = part(self, names.head)(x)
        return logits if self.final_logits_bias is None else logits + self.final_logits_bias

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        position_ids: Tensor | None = None,
        output_hidden_states: bool = False,
        output_attentions: bool = False,
    ) -> CausalLMOutput:
        """Read whole sequences: (batch, length) -> logits (batch, length, vocabulary); tokens see those before them.

        Args:
            input_ids: ids below `vocab_size`.
            attention_mask: (batch, length), 1 on real tokens; padding may be on either side. It does not move
                positions.
            encoder_hidden_states: (batch, frames, size).
            encoder_attention_mask: (batch, frames), 1 on real frames.
            labels: (batch, length), -100 where there is none. The families of BART compare each position with the
                label at the same place, BERT and GPT-2 with the one after it; the loss is the mean cross-entropy.
            position_ids: (batch, length) in place of 0, 1, 2...
            output_hidden_states: return the embeddings and each layer's output, the last one after the final norm.
            output_attentions: return the weights of self- and cross-attention.

        Raises:
            InputError: a wrong shape or type, an id beyond the vocabulary, or more tokens than the position table has.
            ConfigError: encoder states for a decoder without cross-attention.
        """
        check_sequences(self.architecture, input_ids, attention_mask, position_ids, labels)
        dtype = self.dtype
        if position_ids is None:
            position_ids = part(self, self.names.positions).count(input_ids)
        cross: Cache = ()
        cross_bias = None
        if encoder_hidden_states is not None:
            check_states(self.architecture, encoder_hidden_states, len(input_ids))
            cross = self.cross(encoder_hidden_states)
            cross_bias = padding_bias(encoder_attention_mask, encoder_hidden_states)
        trace = Trace(
            [] if output_hidden_states else None,
            [] if output_attentions else None,
            [] if output_attentions and cross else None,
        )
        bias = causal_bias(input_ids, attention_mask, dtype)
        x, _ = self._decode(input_ids, position_ids, bias, (), cross, cross_bias, trace)
        if trace.hidden_states is not None:
            trace.hidden_states[-1] = x.view(*input_ids.shape, -1)
        logits = self._logits(x).view(*input_ids.shape, -1)
        loss = None if labels is None else self._loss(logits, labels)
        return CausalLMOutput(
            loss, logits, traced(trace.hidden_states), traced(trace.attentions), traced(trace.cross_attentions)
        )

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.shifts_labels:
            logits, labels = logits.float(), F.pad(labels, (0, 1), value=-100)[:, 1:]
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def checked(config: TextDecoderConfig) -> Architecture:
    """Return the architecture of a configuration, in which cross-attention takes states of the decoder's own size.

    Raises:
        ConfigError: it asks for another size, or the padding token is outside the vocabulary.
    """
    config.validate()  # fields that only older files have are assigned unchecked
    architecture = config.architecture
    wanted, size = config.cross_attention_hidden_size, architecture.size
    if wanted not in (None, size):
        raise ConfigError(
            f"cross_attention_hidden_size must be the decoder's hidden size {size}, got {wanted}; "
            "leave it out to project the encoder's states to that size"
        )
    padding = architecture.padding
    if padding is not None and not 0 <= padding < architecture.vocab_size:
        raise ConfigError(f"pad_token_id must be below vocab_size {architecture.vocab_size}, got {padding}")
    return architecture
