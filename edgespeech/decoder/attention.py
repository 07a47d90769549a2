"""Attention of a text decoder: over the tokens before, or over an encoder's states."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from edgespeech.decoder.configuration import Architecture
from edgespeech.decoder.names import AttentionNames, part, place

KeyValues = tuple[Tensor, Tensor]  # key, value: (batch, heads, length, head_dim)


class TransposedLinear(nn.Module):
    """A linear layer whose weight is (in, out), as GPT-2 keeps it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in) -> (rows, out)."""
        return torch.addmm(self.bias, x, self.weight)

    def extra_repr(self) -> str:
        """Show the sizes in the module's printed form."""
        return "in_features={}, out_features={}".format(*self.weight.shape)


def linear(inputs: int, outputs: int, transposed: bool) -> nn.Module:
    """Return a linear layer with a bias, its weight (out, in) or transposed."""
    return TransposedLinear(inputs, outputs) if transposed else nn.Linear(inputs, outputs)


class Attention(nn.Module):
    """Multi-head attention whose keys and values come in pieces that are never joined."""

    def __init__(self, architecture: Architecture, names: AttentionNames, index: int) -> None:
        super().__init__()
        self.names = names
        self.heads, self.head_dim = architecture.heads, architecture.head_dim
        self.upcast = architecture.upcast
        self.scale = self.head_dim**-0.5 if architecture.scaled else 1.0
        if architecture.scaled_by_depth:
            self.scale /= index + 1
        self.dropout = nn.Dropout(architecture.attention_dropout)
        size = architecture.size
        for path, parts in names.projections:
            place(self, path, linear(size, size * len(parts), architecture.transposed))
        place(self, names.out, linear(size, size, architecture.transposed))

    def project(self, x: Tensor, batch: int, wanted: str) -> list[Tensor]:
        """(batch * length, size) -> the `wanted` of "q", "k" and "v", each (batch, heads, length, head_dim)."""
        projected: dict[str, Tensor] = {}
        for path, parts in self.names.projections:
            if parts[0] in wanted:
                pieces = part(self, path)(x).chunk(len(parts), -1)
                projected |= {letter: self.split(piece, batch) for letter, piece in zip(parts, pieces, strict=True)}
        return [projected[letter] for letter in wanted]

    def forward(self, query: Tensor, sources: Sequence[KeyValues], bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attend from (batch, heads, new, head_dim) to all sources, one after the other.

        `bias` (batch, 1, new or 1, length of all sources) is added to the scores. Returns (batch * new, size) and the
        weights (batch, heads, new, length of all sources).
        """
        weights = self.dropout(self.weights(query, sources, bias))
        if len(sources) == 1:
            mixed = weights @ sources[0][1]
        else:
            pieces = weights.split([value.shape[2] for _, value in sources], -1)
            mixed = sum(piece @ value for piece, (_, value) in zip(pieces, sources, strict=True))
        joined = mixed.transpose(1, 2).reshape(-1, self.heads * self.head_dim)  # (batch * new, size)
        return part(self, self.names.out)(joined), weights

    def weights(self, query: Tensor, sources: Sequence[KeyValues], bias: Tensor | None) -> Tensor:
        """Return the softmax over all sources, (batch, heads, new, length of all sources)."""
        kept = query.dtype
        with self._precision(query.device.type):
            if self.upcast:
                query = query.to(torch.promote_types(kept, torch.float32))
            if self.scale != 1.0:
                query = query * self.scale
            scores = [query @ key.to(query.dtype).transpose(2, 3) for key, _ in sources]
        joined = scores[0] if len(scores) == 1 else torch.cat(scores, -1)
        if bias is not None:
            joined = joined + bias
        return joined.softmax(-1).to(kept)

    def split(self, x: Tensor, batch: int) -> Tensor:
        """(batch * length, size) -> (batch, heads, length, head_dim)."""
        return x.view(batch, -1, self.heads, self.head_dim).transpose(1, 2)

    def _precision(self, device: str) -> AbstractContextManager[object]:
        """Within mixed precision, products that are to be float32 have to be taken out of it."""
        return (
            torch.autocast(device, enabled=False)
            if self.upcast and torch.is_autocast_enabled(device)
            else nullcontext()
        )
