"""What a decoder keeps of the tokens that it has read, for callers who step through a sequence on their own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edgespeech.decoder.attention import KeyValues
from edgespeech.errors import InputError

Cache = tuple[KeyValues, ...]  # one per layer


@dataclass(frozen=True, eq=False)
class PastKeyValues:
    """Keys and values of each layer: of the tokens so far, and of the encoder's states (none without an encoder).

    `past[index]` is (key, value) of a layer, (batch, heads, tokens, head_dim), then those of the cross-attention, where
    there are any, (batch, heads, frames, head_dim). A value: `forward` returns a longer one and leaves this as it was.
    """

    tokens: Cache
    cross: Cache = ()

    @classmethod
    def of(cls, given: Any, layers: int) -> "PastKeyValues":
        """Return what a caller gave: such an object, or for each layer a tuple of two or four tensors.

        Raises:
            InputError: it is something else, or of another number of layers.
        """
        if isinstance(given, (tuple, list)) and all(
            isinstance(layer, (tuple, list))
            and len(layer) in (2, 4)
            and all(isinstance(part, Tensor) for part in layer)
            for layer in given
        ):
            crossed = bool(given) and len(given[0]) == 4
            own = tuple((layer[0], layer[1]) for layer in given)
            given = cls(own, tuple((layer[2], layer[3]) for layer in given) if crossed else ())
        if not isinstance(given, cls):
            raise InputError(
                "past_key_values must be what forward returned as such, or a tuple of (key, value) for each layer, "
                f"got {type(given).__name__}"
            )
        if len(given) != layers:
            raise InputError(f"past_key_values must have the decoder's {layers} layers, got {len(given)}")
        return given

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens there are."""
        return self.tokens[layer_idx][0].shape[2] if self.tokens else 0

    def extended(self, new: Cache) -> "PastKeyValues":
        """Return this with new columns (batch, heads, new, head_dim) behind the others."""
        if not self.tokens:
            return PastKeyValues(new, self.cross)
        pairs = zip(self.tokens, new, strict=True)
        joined = ((torch.cat([k, more_k], 2), torch.cat([v, more_v], 2)) for (k, v), (more_k, more_v) in pairs)
        return PastKeyValues(tuple(joined), self.cross)

    def reordered(self, rows: Tensor) -> "PastKeyValues":
        """Return the rows of the batch in another order, as beam search needs them: `rows` (batch,) of this one's."""
        tokens, cross = (
            tuple((key.index_select(0, rows), value.index_select(0, rows)) for key, value in cache)
            for cache in (self.tokens, self.cross)
        )
        return PastKeyValues(tokens, cross)

    def to_legacy_cache(self) -> tuple[tuple[Tensor, ...], ...]:
        """Return a tuple for each layer."""
        return tuple(self)

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return (*self.tokens[index], *(self.cross[index] if self.cross else ()))

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return (self[index] for index in range(len(self)))
