"""The key-value cache of a decoding loop: columns are appended, and each row's mask says which are its own.

All new tokens of an utterance, the positions of its prompt as well as its beams, are new positions of one sequence.
What a beam descends from is a matter of its mask alone, so choosing beams moves no key and no value. It is attention
over a tree of hypotheses, https://arxiv.org/abs/2305.09781. This module knows no engine and no model.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...bundle.contracts import Decoder, columns

MASK_VALUE = -1e4  # added to the scores of columns that a row may not see: exp of it is 0, and float16 can hold it
BLOCK = 64  # calls for which room is made at a time

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


class Ancestry:
    """Which columns each row sees: those of the tokens that it descends from, and its own."""

    def __init__(self) -> None:
        self.used = 0  # columns in the cache
        self.depth = 0  # tokens in each row's sequence
        self._visible: Bools = np.zeros((0, 0, 0), bool)  # (batch, rows, used), of the rows of the last call

    def begin(self, batch: int, length: int) -> Bools:
        """Read a prompt of `length` tokens: what each of them sees, (batch, length, length)."""
        seen = np.broadcast_to(np.tri(length, dtype=bool), (batch, length, length))
        self._visible, self.used, self.depth = np.array(seen[:, -1:]), length, length
        return seen

    def extend(self, parents: Ids) -> Bools:
        """Add one token to each row `parents` (batch, rows) of the call before: what the new rows see.

        That is (batch, rows, columns before + rows): the cache, then the new tokens.
        """
        batch, rows = parents.shape
        before = self._visible  # (batch, rows, used); of one row, the only one that can be extended
        if rows != 1 or before.shape[1] != 1:
            before = before[np.arange(batch)[:, None], parents]
        own = np.arange(rows)
        self._visible = np.zeros((batch, rows, self.used + rows), bool)
        self._visible[:, :, : self.used] = before
        self._visible[:, own, self.used + own] = True
        self.used += rows
        self.depth += 1
        return self._visible

    def forget(self, parents: Ids) -> Ids:
        """Leave only what rows `parents` (batch, rows) see, and return the columns that are kept, ascending.

        The rows that are extended next are these, in this order.
        """
        visible = np.take_along_axis(self._visible, parents[:, :, None], axis=1)
        kept = np.flatnonzero(visible.any(axis=(0, 1)))
        self._visible, self.used = visible[:, :, kept], len(kept)
        return kept


def bias(seen: Bools, slots: int, mask_value: float = MASK_VALUE, into: Floats | None = None) -> Floats:
    """What is added to the scores, (batch, new, slots + new). Slots that hold no column yet are hidden.

    It is written `into` that array where it has this shape.
    """
    batch, new, columns = seen.shape
    used = columns - new
    shape = (batch, new, slots + new)
    scores = into if into is not None and into.shape == shape else np.empty(shape, np.float32)
    scores.fill(mask_value)
    np.copyto(scores[:, :, :used], 0.0, where=seen[:, :, :used])
    np.copyto(scores[:, :, slots:], 0.0, where=seen[:, :, used:])
    return scores


class Slots:
    """Preallocated keys and values of all layers, by the names of the decoder's inputs `cache.*`."""

    def __init__(self, facts: Decoder, batch: int) -> None:
        self._tensors = columns("cache", "slots", facts.layers)
        self._outputs = {tensor.name: tensor.name.replace("cache", "new", 1) for tensor in self._tensors}
        self._sizes = {"batch": batch, "heads": facts.heads, "head_dim": facts.head_dim}
        self.arrays: dict[str, Floats] = {}
        self._places: list[tuple[Floats, str, bool]] = []  # array, output, whether slots are its last axis
        self.count = 0

    def reserve(self, needed: int, step: int) -> bool:
        """Make room for `needed` columns, and for more to come by `step` at a time; whether the arrays are new ones."""
        if needed <= self.count:
            return False
        count = needed + (BLOCK - 1) * step
        sizes = {**self._sizes, "slots": count}
        arrays = {tensor.name: np.zeros([sizes[axis] for axis in tensor.axes], np.float32) for tensor in self._tensors}
        for tensor in self._tensors if self.count else ():
            _part(arrays[tensor.name], tensor.axes, 0, self.count)[:] = self.arrays[tensor.name]
        self.arrays, self.count = arrays, count
        self._places = [
            (arrays[tensor.name], self._outputs[tensor.name], tensor.axes[3] == "slots") for tensor in self._tensors
        ]
        return True

    def write(self, start: int, new: Mapping[str, Floats], count: int | None = None) -> None:
        """Put the first `count` columns (None: all) of the outputs `new.*` of a call into the slots from `start` on."""
        for target, output, is_last in self._places:
            given = new[output]
            if is_last:
                given = given if count is None else given[:, :, :, :count]
                target[:, :, :, start : start + given.shape[3]] = given
            else:
                given = given if count is None else given[:, :, :count]
                target[:, :, start : start + given.shape[2]] = given

    def gather(self, kept: Ids) -> None:
        """Move the columns `kept` to the first slots, in this order, in the same arrays."""
        for tensor in self._tensors:
            array = self.arrays[tensor.name]
            axis = tensor.axes.index("slots")
            _part(array, tensor.axes, 0, len(kept))[:] = np.take(array, kept, axis=axis)


def _part(array: Floats, axes: tuple[str, ...], start: int, count: int) -> Floats:
    """`count` slots of an array from `start` on, as a view."""
    return array[:, :, :, start : start + count] if axes[3] == "slots" else array[:, :, start : start + count]
