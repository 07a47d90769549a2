"""The automaton over tokens that walks the beginnings of a language model's words."""

from collections.abc import Sequence

import numpy as np

from .automaton import START, UNKNOWN, Transitions
from .beams import Ints
from .fusion import Fusion

USUAL = 64  # characters of words that no known word begins like; longer ones are looked at one by one
NOT_ASKED = np.inf  # what a word costs that has not been looked up


class PrefixAutomaton(Transitions):
    """What beams are writing: a beginning of known words, or a number of characters that no known word begins with.

    `values` are what that costs, `NOT_ASKED` where it is still to be looked up (`settle`). For states, `is_unknown`
    says whether what is written is no known word.
    """

    def __init__(self, fusion: Fusion, texts: Sequence[str]) -> None:
        super().__init__(texts, NOT_ASKED, 4 * USUAL)
        self._tree, self._fusion = fusion.prefixes, fusion
        self.at_best = fusion.at_best_unfinished
        width = max(map(len, texts), default=0)
        self._codes = np.array([[ord(c) for c in text.ljust(width, "\0")] for text in texts], np.int64)
        self._codes = self._codes.reshape(len(texts), width)
        self._lengths = np.array([len(text) for text in texts], np.int64)
        # Of states: the beginning, or the number of characters, negative. State n + 1 is that of n characters.
        self._nodes = np.zeros(len(self.following), np.int64)
        self._nodes[START + 1 : START + USUAL] = -np.arange(1, USUAL)
        self.is_unknown = np.ones(len(self.following), bool)
        self._states = np.full(len(self._tree.lengths), UNKNOWN, np.int32)  # of beginnings
        self._states[0], self._long, self._count = START, dict[int, int](), START + USUAL
        unknown = np.arange(1, USUAL)[:, None] + self._lengths
        is_usual = unknown < USUAL
        self.following[START + 1 : START + USUAL] = np.where(is_usual, START + unknown, UNKNOWN)
        self.values[START + 1 : START + USUAL] = np.where(is_usual, fusion.unfinished(unknown), NOT_ASKED)

    def enter(self, nodes: Ints) -> Ints:
        """The states of what `nodes` of another automaton over these words were."""
        states = np.where(nodes < 0, 0, self._known(np.maximum(nodes, 0)))
        for index in (nodes < 0).nonzero()[0].tolist():
            states[index] = self._unknown(-int(nodes[index]))
        return states

    def nodes(self, states: Ints) -> Ints:
        """What states are, whatever the automaton: the number of a beginning, or of characters, negative."""
        return self._nodes.take(states)

    def word(self, state: int) -> str | None:
        """The beginning of known words that a state is, None for another."""
        node = int(self._nodes[state])
        return self._tree.text(node) if node >= 0 else None

    def settle(self, states: Ints, columns: Ints) -> None:
        """Look up where pairs of a state and a token's column lead, as far as that is not known."""
        pairs = states * len(self.texts) + columns
        pairs = np.unique(pairs[self.following.take(pairs) == UNKNOWN])
        if not len(pairs):
            return
        states, columns = np.divmod(pairs, len(self.texts))
        nodes, more = self._nodes.take(states), self._lengths.take(columns)
        lengths = np.where(nodes < 0, -nodes, self._tree.lengths.take(np.maximum(nodes, 0))) + more
        reached = self._tree.walk(nodes, self._codes.take(columns, axis=0))
        reached[(nodes < 0) & (more > 0)] = UNKNOWN
        is_unknown = reached < 0
        following = START + lengths
        following[~is_unknown] = self._known(reached[~is_unknown])
        for index in (is_unknown & (lengths >= USUAL)).nonzero()[0].tolist():
            following[index] = self._unknown(int(lengths[index]))
        self.following.put(pairs, following)
        self.values.put(pairs, np.where(is_unknown, self._fusion.unfinished(lengths), 0.0))

    def _known(self, nodes: Ints) -> Ints:
        """The states of beginnings of known words."""
        new = np.unique(nodes[self._states.take(nodes) == UNKNOWN])
        if len(new):
            states = self._add(new)
            self.is_unknown[states] = ~self._tree.is_word[new]
            self._states[new] = states
        return self._states.take(nodes).astype(np.int64)

    def _unknown(self, length: int) -> int:
        """The state of so many characters that no known word begins with."""
        if length < USUAL:
            return START + length
        if length not in self._long:
            self._long[length] = int(self._add(np.array([-length]))[0])
        return self._long[length]

    def _add(self, nodes: Ints) -> Ints:
        states = np.arange(self._count, self._count + len(nodes))
        self._count += len(nodes)
        missing = self.make_room(self._count) - len(self._nodes)
        if missing:
            self._nodes = np.pad(self._nodes, (0, missing))
            self.is_unknown = np.pad(self.is_unknown, (0, missing), constant_values=True)
        self._nodes[states] = nodes
        return states
