"""What a model's output is to its answers: what of its values counts, and what is of no account.

It runs no model; `predictions` does.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

KEPT = 256  # logits of each position that are compared: the largest of the float model's, if it has more

Values: TypeAlias = npt.NDArray[np.float32]  # [positions, outputs]
Ids: TypeAlias = npt.NDArray[np.int64]


class Tokens:
    """Logits of which the largest decides: a token of each position, or the label of an utterance.

    They are taken relative to the mean of their position, because softmax does not see that.

    Attributes:
        name: of the output.
    """

    def __init__(self, name: str = "logits") -> None:
        self.name = name

    def centred(self, values: Values) -> Values:
        """Values without what changes no answer."""
        return values - values.mean(axis=-1, keepdims=True) if values.shape[-1] > 1 else values

    def kept(self, values: Values) -> tuple[Values, Ids]:
        """Return the values of each position that are kept, and their ids; [0, 0] ids for all."""
        if values.shape[-1] <= KEPT:
            return values, np.zeros((0, 0), np.int64)
        ids = np.sort(np.argpartition(values, -KEPT, axis=-1)[:, -KEPT:], axis=-1)
        return np.take_along_axis(values, ids, axis=-1), ids


class Flags(Tokens):
    """Logits each of which decides by itself: whether a label holds in a frame. What counts is how far it is from 0."""

    def centred(self, values: Values) -> Values:
        """See `Tokens.centred`."""
        return values

    def kept(self, values: Values) -> tuple[Values, Ids]:
        """See `Tokens.kept`: all."""
        return values, np.zeros((0, 0), np.int64)


class Vector(Flags):
    """An embedding, or quantities: nothing is decided by it alone."""


def same(values: Values, ids: Ids) -> Values:
    """Return those values that were kept of the other model."""
    return np.take_along_axis(values, ids, axis=-1) if ids.size else values


def cosines(first: Values, second: Values) -> npt.NDArray[np.float64]:
    """Cosine of each position's values with another's; 0 where one of them is nothing."""
    a, b = (values.astype(np.float64) for values in (first, second))
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.divide((a * b).sum(-1), lengths, out=np.zeros_like(lengths), where=lengths > 0)
