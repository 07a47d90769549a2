"""The text decoder: tokens and an encoder's states to logits.

What was computed for earlier tokens goes in and comes out as a value; nothing is kept between calls. Which token comes
next is the caller's choice.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.activations import activation
from edgespeech.base.outputs import CausalLMOutput, answered
from edgespeech.decoder import loading
from edgespeech.decoder.configuration import Architecture, TextDecoderConfig
from edgespeech.decoder.drawing import draw
from edgespeech.decoder.layer import DecoderLayer, Trace
from edgespeech.decoder.names import part, place
from edgespeech.decoder.past import Cache, PastKeyValues
from edgespeech.decoder.positions import LearnedPositions, SinusoidalPositions
from edgespeech.decoder.sequences import causal_bias, check_sequences, check_states, padding_bias, traced, unnamed
from edgespeech.decoder.vocabulary import WithVocabulary
from edgespeech.errors import ConfigError, InputError


class Geometry(NamedTuple):
    """The shape of a cache: layers, and (batch, heads, length, head_dim) of each key and value."""

    layers: int
    heads: int
    head_dim: int


class TextDecoder(WithVocabulary):
    """A causal decoder with a head. The families' classes set their configuration and names."""

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
            own_row = architecture.padding if architecture.skips_padding else None
            positions = LearnedPositions(architecture.max_positions, size, architecture.offset, own_row)
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
        self.tie_weights()

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

    @property
    def hidden_size(self) -> int:
        """Channels of the decoder, and of the encoder's states that `cross` takes."""
        return self.architecture.size

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
        trace: Trace | None = None,
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
            trace: notes states and attention weights, as `forward` returns them.

        Returns:
            logits, and per layer key and value (batch, heads, new, head_dim) of the new tokens alone. While layers are
            dropped in training, these columns are those of the layers that ran.
        """
        trace = trace or Trace()
        x, new = self._decode(tokens, positions, bias, cache, cross, cross_bias, trace)
        if trace.hidden_states is not None:
            trace.hidden_states[-1] = x.view(*tokens.shape, -1)
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
        embedded: Tensor | None = None,
    ) -> tuple[Tensor, Cache]:
        """Return the last states (batch * new, size) and the new columns.

        Rows of one matrix, not (batch, new, size): so each linear layer is one Gemm with its bias in an exported graph,
        which engines run faster than a product and a sum.
        """
        x = self._embed(tokens, positions, embedded)
        trace.saw(x)
        x, shape = x.flatten(0, 1), x.shape
        columns = []
        for index, layer in enumerate(self.layers):
            if self.training and self.architecture.layerdrop and torch.rand([]) < self.architecture.layerdrop:
                continue  # https://arxiv.org/abs/1909.11556
            before, crossed = (cache[index] if cache else None), (cross[index] if cross else None)
            x, new = self.run(layer, x, shape[0], bias, before, crossed, cross_bias, trace)
            trace.saw(x.view(shape))
            columns.append(new)
        if self.names.final_norm is not None:
            x = part(self, self.names.final_norm)(x)
        return x, tuple(columns)

    def _embed(self, tokens: Tensor, positions: Tensor, embedded: Tensor | None) -> Tensor:
        names = self.names
        x = part(self, names.tokens)(tokens) if embedded is None else embedded
        if self.architecture.embedding_scale != 1.0 and embedded is None:
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
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutput:
        """Read sequences: (batch, length) -> logits (batch, length, vocabulary); tokens see those before them.

        Args:
            input_ids: ids below `vocab_size`.
            attention_mask: (batch, past + length), 1 on real tokens; padding may be on either side. It does not move
                positions.
            encoder_hidden_states: (batch, frames, size).
            encoder_attention_mask: (batch, frames), 1 on real frames.
            labels: (batch, length), -100 where there is none. The families of BART compare each position with the
                label at the same place, BERT and GPT-2 with the one after it; the loss is the mean cross-entropy.
            position_ids: (batch, length) in place of 0, 1, 2...
            inputs_embeds: (batch, length, size) in place of `input_ids`, scaled where the model scales its table.
            past_key_values: of the tokens before and the encoder's states, as an earlier call returned them.
            use_cache: whether to return `past_key_values`, as the configuration says otherwise.
            output_hidden_states: return the embeddings and each layer's output, the last one after the final norm.
            output_attentions: return the weights of self- and cross-attention.
            return_dict: False returns a tuple of what is not None.

        Raises:
            InputError: a wrong shape or type, an id beyond the vocabulary, or more tokens than the position table has.
            ConfigError: encoder states for a decoder without cross-attention, or `use_cache` while layers are dropped.
        """
        tokens = self._tokens(input_ids, inputs_embeds)
        past = PastKeyValues(()) if past_key_values is None else PastKeyValues.of(past_key_values, len(self.layers))
        before = past.get_seq_length()
        check_sequences(self.architecture, tokens, attention_mask, position_ids, labels, before)
        if position_ids is None:
            position_ids = part(self, self.names.positions).count(tokens, before)
        cross, cross_bias = self._crossed(past, encoder_hidden_states, encoder_attention_mask, len(tokens))
        trace = self._trace(output_hidden_states, output_attentions, bool(cross))
        bias = causal_bias(tokens, attention_mask, self.dtype, before)
        x, new = self._decode(tokens, position_ids, bias, past.tokens, cross, cross_bias, trace, inputs_embeds)
        if trace.hidden_states is not None:
            trace.hidden_states[-1] = x.view(*tokens.shape, -1)
        logits = self._logits(x).view(*tokens.shape, -1)
        output = CausalLMOutput(
            None if labels is None else self._loss(logits, labels),
            logits,
            PastKeyValues(past.tokens, cross).extended(new) if self._keeps(use_cache) else None,
            traced(trace.hidden_states),
            traced(trace.attentions),
            traced(trace.cross_attentions),
        )
        return answered(output, self.config, return_dict)

    def _tokens(self, input_ids: Tensor | None, embedded: Tensor | None) -> Tensor:
        """Return the tokens, or ids without a meaning in the shape of embeddings."""
        if (input_ids is None) == (embedded is None):
            raise InputError("give input_ids or inputs_embeds, one of them")
        return unnamed(self.architecture, embedded) if input_ids is None else input_ids  # type: ignore[arg-type]

    def _crossed(
        self, past: PastKeyValues, states: Tensor | None, mask: Tensor | None, batch: int
    ) -> tuple[Cache, Tensor | None]:
        """Return keys and values of an encoder's states, those that are known or new ones, and the bias of its mask."""
        if states is None:
            return past.cross, None
        check_states(self.architecture, states, batch)
        return past.cross or self.cross(states), padding_bias(mask, states)

    def _trace(self, hidden_states: bool | None, attentions: bool | None, crossed: bool) -> Trace:
        hidden_states = self.config.output_hidden_states if hidden_states is None else hidden_states
        attentions = self.config.output_attentions if attentions is None else attentions
        return Trace([] if hidden_states else None, [] if attentions else None, [] if attentions and crossed else None)

    def _keeps(self, use_cache: bool | None) -> bool:
        """Whether to return keys and values: those of all layers, and not of layers that are computed twice."""
        if self.training and self.gradient_checkpointing:
            if use_cache:
                raise ConfigError("gradient checkpointing keeps no keys and values; set use_cache=False")
            return False
        if self.training and self.architecture.layerdrop:
            if use_cache:
                raise ConfigError(
                    "layers that are dropped leave nothing to keep; call model.eval(), or set use_cache=False"
                )
            return False
        return bool(self.config.use_cache if use_cache is None else use_cache)

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
