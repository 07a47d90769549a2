"""A table of a finite automaton over tokens, whose states come into being when they are first reached."""

from collections.abc import Sequence

import numpy as np

from .beams import Floats, Ints

DEAD, START = 0, 1  # ids of the state that leads nowhere, and of that at the beginning of a word
UNKNOWN = -1


class Transitions:
    """States are numbered; `following [states, columns]` says where a token leads, -1 where nobody has asked yet.

    The columns are the tokens that can occur at all, `texts` what each of them writes. `values`, of the same shape, is
    what the state that is reached is worth, `unasked` where that is not known yet.
    """

    def __init__(self, texts: Sequence[str], unasked: float, room: int = 64) -> None:
        self.texts, self._unasked = texts, unasked
        self.following = np.full((room, len(texts)), UNKNOWN)
        self.values = np.full((room, len(texts)), unasked)

    def make_room(self, states: int) -> int:
        """Have room for so many states; how many there is room for then."""
        if states > len(self.following):
            more = max(states, 2 * len(self.following)) - len(self.following)
            self.following = np.pad(self.following, ((0, more), (0, 0)), constant_values=UNKNOWN)
            self.values = np.pad(self.values, ((0, more), (0, 0)), constant_values=self._unasked)
        return len(self.following)

    def reached(self, states: Ints, columns: Ints) -> Ints:
        """Where each pair of a state and a token's column leads."""
        return self.following.take(states * len(self.texts) + columns)

    def worth(self, states: Ints, columns: Ints) -> Floats:
        """What the states are worth that pairs of a state and a token's column lead to."""
        return self.values.take(states * len(self.texts) + columns)
