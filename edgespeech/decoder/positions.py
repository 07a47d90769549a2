"""Position embeddings: learned tables, with rows before the first position or not, and the sinusoidal table."""

import math

import torch
from torch import Tensor, nn

from edgespeech.errors import InputError


class LearnedPositions(nn.Embedding):
    """A table whose first `offset` rows no position uses; the last of them is that of `padding`, where it has one."""

    def __init__(self, max_positions: int, size: int, offset: int, padding: int | None = None) -> None:
        super().__init__(max_positions + offset, size, padding_idx=None if padding is None else offset - 1)
        self.offset, self.padding = offset, padding

    def count(self, tokens: Tensor, before: int = 0) -> Tensor:
        """Return the positions (1 or batch, length) of tokens (batch, length), `before` others having been read.

        Where padding has a row, it takes no position; as in the reference library, padding among those before did.

        Raises:
            InputError: they are longer than the table.
        """
        max_positions, end = self.num_embeddings - self.offset, before + tokens.shape[1]
        if end > max_positions:
            raise InputError(
                f"input_ids have {end} tokens, the position table of the model has {max_positions} positions"
            )
        if self.padding is not None:
            return tokens.ne(self.padding).long().cumsum(1) - 1 + before
        return torch.arange(before, end, device=tokens.device)[None]

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:  # type: ignore[override]
        """Tokens and positions (batch, new) -> (batch, new, size)."""
        rows = positions + self.offset
        if self.padding is not None:
            rows = torch.where(tokens == self.padding, self.offset - 1, rows)
        return super().forward(rows)


class SinusoidalPositions(nn.Module):
    """The table of fairseq: position p stands in row p + 1 + padding, and padding itself has a row of zeros.

    The table is no parameter, but checkpoints hold it. For whole sequences that are longer, a longer one is computed.
    https://arxiv.org/abs/1706.03762 (section 3.5), with all sines before all cosines.
    """

    weights: Tensor
    longer: Tensor | None

    def __init__(self, max_positions: int, size: int, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("weights", sinusoids(max_positions + 1 + padding, size, padding))
        self.register_buffer("longer", None, persistent=False)

    def count(self, tokens: Tensor, before: int = 0) -> Tensor:
        """Return the positions (batch, length) of tokens (batch, length), in which padding takes none.

        `before` others have been read; as in the reference library, padding among them took positions.
        """
        rows = before + tokens.shape[1] + 1 + self.padding
        table = self.weights if self.longer is None else self.longer
        if rows > len(table):
            self.longer = sinusoids(rows, table.shape[1], self.padding).to(table)
        return tokens.ne(self.padding).long().cumsum(1) - 1 + before

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Tokens and positions (batch, new) -> (batch, new, size)."""
        rows = torch.where(tokens == self.padding, self.padding, positions + (1 + self.padding))
        return nn.functional.embedding(rows, self.weights if self.longer is None else self.longer)


def sinusoids(rows: int, size: int, padding: int) -> Tensor:
    """Return the table (rows, size), row `padding` zero."""
    half = size // 2
    rates = torch.exp(torch.arange(half).float() * -(math.log(10000) / (half - 1)))
    angles = torch.arange(rows).float()[:, None] * rates
    table = torch.zeros(rows, size)
    table[:, :half] = angles.sin()
    table[:, half : 2 * half] = angles.cos()
    table[padding] = 0
    return table
