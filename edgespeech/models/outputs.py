"""What models return: dataclasses whose fields can also be reached by position or name, None left out."""

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor


@dataclass
class ModelOutput:
    """A result with named fields; `output[0]`, `output["logits"]` and unpacking skip the fields that are None."""

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the fields that are not None, in order."""
        values = (getattr(self, entry.name) for entry in fields(self))
        return tuple(value for value in values if value is not None)

    def __getitem__(self, key: int | slice | str) -> Any:
        return getattr(self, key) if isinstance(key, str) else self.to_tuple()[key]

    def __iter__(self) -> Any:
        return iter(self.to_tuple())


@dataclass
class BaseModelOutput(ModelOutput):
    """Of an encoder.

    `last_hidden_state` (batch, frames, output); `extract_features` (batch, frames, conv_dim): the normalised features
    that went into the transformer's projection; `hidden_states`: the transformer's input and each layer's output
    (batch, frames, hidden); `attentions`: each layer's weights (batch, heads, frames, frames).
    """

    last_hidden_state: Tensor
    extract_features: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class CTCOutput(ModelOutput):
    """Of a CTC head: `loss` (a scalar, with labels) and `logits` (batch, frames, vocabulary); the rest as above."""

    loss: Tensor | None
    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
