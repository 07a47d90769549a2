"""What every search shares: the rules of one call, the histories of the rows, and how much of them is certain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import EngineError
from .decoder import Ids, Logits
from .filters import Filters
from .hooks import NONE, Hooks
from .limits import Lengths
from .options import GenerationOptions
from .results import Hypothesis
from .warpers import Draw, Warpers

OnTokens = Callable[[int, list[int]], None]
"""Called with the index of an utterance and the tokens of it that have become certain since the last time."""


@dataclass(frozen=True)
class Rules:
    """What holds for all utterances of a call."""

    options: GenerationOptions
    lengths: Lengths
    filters: Filters
    warpers: Warpers
    draw: Draw
    hooks: Hooks = NONE

    @property
    def feed(self) -> int:
        """The token given to the decoder for rows that are finished: one that it has; an end token it need not have."""
        return 0


class Search(Protocol):
    """A batch of utterances on its way."""

    def advance(self, logits: Logits) -> tuple[Ids, Ids] | None:
        """Choose the next tokens by `logits` (batch, rows, vocabulary): tokens and parents (batch, rows), each row
        extending a row of the call before; None when every utterance is finished.
        """
        ...

    def results(self) -> list[list[Hypothesis]]:
        """The hypotheses of each utterance."""
        ...


class Histories:
    """Tokens (with the prompt) and log-probabilities (without) of rows that grow alike, in arrays with room."""

    def __init__(self, prompt: Ids, lengths: Lengths) -> None:
        self.prompt = self.length = prompt.shape[1]
        room = min(lengths.maximum, self.length + 64)
        self._tokens = np.zeros((len(prompt), room), np.int64)
        self._logprobs = np.zeros((len(prompt), room), np.float32)
        self._parents = np.zeros((len(prompt), room), np.int64)
        self._tokens[:, : self.length] = prompt

    @property
    def tokens(self) -> Ids:
        """(rows, length), the prompt first."""
        return self._tokens[:, : self.length]

    @property
    def generated(self) -> Ids:
        """(rows, length without the prompt)."""
        return self._tokens[:, self.prompt : self.length]

    def append(self, tokens: Ids, logprobs: Logits, parents: Ids | None = None) -> None:
        """Row k becomes row `parents[k]` (None: itself) followed by `tokens[k]`."""
        end = self.length
        if parents is not None:
            self._tokens[:, :end] = self._tokens[parents, :end]
            self._logprobs[:, :end] = self._logprobs[parents, :end]
            self._parents[:, :end] = self._parents[parents, :end]
        if end == self._tokens.shape[1]:
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)], axis=1)
            self._logprobs = np.concatenate([self._logprobs, np.zeros_like(self._logprobs)], axis=1)
            self._parents = np.concatenate([self._parents, np.zeros_like(self._parents)], axis=1)
        self._tokens[:, end] = tokens
        self._logprobs[:, end] = logprobs
        self._parents[:, end] = np.arange(len(self._parents)) if parents is None else parents
        self.length += 1

    def row(self, index: int, count: int | None = None) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Tokens without the prompt and their log-probabilities: the first `count` of them, or all."""
        end = self.length if count is None else self.prompt + count
        part = slice(self.prompt, end)
        return tuple(self._tokens[index, part].tolist()), tuple(self._logprobs[index, part].tolist())

    def parents(self, index: int) -> tuple[int, ...]:
        """For each token of a row without the prompt, the row that it extended."""
        return tuple(self._parents[index, self.prompt : self.length].tolist())


def refuse_nan(values: npt.NDArray[np.floating] | np.floating) -> None:
    """Raise EngineError where a decoder gave NaN: it would win every comparison."""
    if np.isnan(values).any():
        raise EngineError("the decoder computed NaN logits: do not trust this device with this model")
