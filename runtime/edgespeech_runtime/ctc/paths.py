"""The tokens that beams have emitted, as a tree that grows with them."""

import numpy as np
import numpy.typing as npt

from .beams import BEGINS, EMITTED, END, FIRST, NO_TOKEN, PATH, TOKEN, Beams, Floats, Ints, Path

ROOT = -1
EMPTY = Path(np.zeros((4, 0), np.int64), np.zeros(0))


class PathTree:
    """Finished tokens, each with the index of the one before it."""

    def __init__(self, steps: Path, before: npt.NDArray[np.int64]) -> None:
        self._count = len(before)
        self._numbers, self._emitted = steps
        self._before = before

    def __len__(self) -> int:
        return self._count

    def extend(self, numbers: Ints, emitted: Floats, before: Ints) -> None:
        """Add finished tokens, `numbers [4, tokens]`, behind those at `before`."""
        self._numbers = np.concatenate([self._numbers, numbers], axis=1)
        self._emitted = np.concatenate([self._emitted, emitted])
        self._before = np.concatenate([self._before, before])
        self._count = len(self._before)

    def word(self, beams: Beams, index: int) -> list[int]:
        """The tokens of the word that a beam is writing."""
        numbers = beams.numbers
        tokens: list[int] = []
        begins = 0
        if numbers[TOKEN, index] != NO_TOKEN:
            tokens.append(int(numbers[TOKEN, index]))
            begins = int(numbers[BEGINS, index])
        step = int(numbers[PATH, index])
        while not begins and step != ROOT:
            token, _, _, begins = self._numbers[:, step].tolist()
            tokens.append(token)
            step = int(self._before[step])
        return tokens[::-1]

    def walk(self, beams: Beams, index: int) -> Path:
        """All tokens of a beam behind those that are certain, with the one being emitted."""
        steps: list[int] = []
        step = int(beams.numbers[PATH, index])
        while step != ROOT:
            steps.append(step)
            step = int(self._before[step])
        steps.reverse()
        numbers, emitted = self._numbers[:, steps], self._emitted[steps]
        if beams.numbers[TOKEN, index] != NO_TOKEN:
            last = beams.numbers[[TOKEN, FIRST, END, BEGINS], index]
            numbers = np.concatenate([numbers, last[:, None]], axis=1)
            emitted = np.append(emitted, beams.scores[EMITTED, index])
        return Path(numbers, emitted)

    def pruned(self, ends: Ints) -> tuple[Path, Path, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What beams ending at `ends` need: whole words that all share, other tokens, those before these, new ends."""
        before, kept = self._before[: self._count].tolist(), np.zeros(self._count + 1, bool)
        for end in set(ends.tolist()):
            step = end
            while step != ROOT and not kept[step]:
                kept[step] = True
                step = before[step]
        steps = np.flatnonzero(kept[:-1])
        children = np.bincount(self._before[steps] + 1, minlength=self._count + 1)
        ended = np.isin(np.arange(-1, self._count), ends)
        shared: list[int] = []
        at = ROOT
        while not ended[at + 1] and children[at + 1] == 1:
            at = int(steps[np.flatnonzero(self._before[steps] == at)[0]])
            shared.append(at)
        begun = np.flatnonzero(self._numbers[3, shared])
        shared = shared[: begun[-1]] if len(begun) else []  # the last word may be unfinished
        rest = np.setdiff1d(steps, shared, assume_unique=True)
        renumbered = np.full(self._count + 1, ROOT, np.int64)
        renumbered[rest] = np.arange(len(rest))
        return (
            self._part(np.array(shared, np.int64)),
            self._part(rest),
            renumbered[self._before[rest]],
            renumbered[ends],
        )

    def _part(self, steps: npt.NDArray[np.int64]) -> Path:
        return Path(self._numbers[:, steps], self._emitted[steps])
