"""A finite automaton over tokens whose states come into being when they are first reached."""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from .beams import Ints

StateT = TypeVar("StateT", bound=Hashable)
DEAD, START = 0, 1  # ids of the state that leads nowhere, and of that at the beginning of a word


class Automaton(Generic[StateT]):
    """States are numbered; a table `[states, tokens]` says where a token leads, -1 where nobody has asked yet.

    The table's columns are the tokens that can occur at all, `texts` what each of them writes.
    """

    def __init__(self, texts: Sequence[str], dead: StateT, start: StateT) -> None:
        self.texts = texts
        self.states: list[StateT] = []
        self._ids: dict[StateT, int] = {}
        self._next = np.full((64, len(texts)), -1, np.int32)
        self.add(dead)
        self._next[DEAD] = DEAD
        self.add(start)

    def follow(self, state: StateT, text: str) -> StateT:
        """The state that a token's text leads to."""
        raise NotImplementedError

    def add(self, state: StateT) -> int:
        """The id of a state, which is new or known."""
        known = self._ids.get(state)
        if known is not None:
            return known
        number = self._ids[state] = len(self.states)
        self.states.append(state)
        if number == len(self._next):
            self._next = np.concatenate([self._next, np.full_like(self._next, -1)])
        self.describe(state)
        return number

    def describe(self, state: StateT) -> None:
        """Note what is asked of a new state."""

    def step(self, states: Ints, columns: Ints) -> npt.NDArray[np.int32]:
        """Where each pair of a state and a token's column leads; the two are broadcast."""
        reached = self._next[states, columns]
        if (reached < 0).any():
            unknown = reached < 0
            states, columns = np.broadcast_arrays(states, columns)
            for state, column in set(zip(states[unknown].tolist(), columns[unknown].tolist(), strict=True)):
                target = self.add(self.follow(self.states[state], self.texts[column]))
                self._next[state, column] = target
            reached = self._next[states, columns]
        return reached
