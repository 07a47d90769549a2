"""Words and phrases that shall be recognised: a boost spread over their letters, taken back where they break off.

A phrase of weight w adds up to w to a beam's score, in natural log units. Of a phrase of n letters, m of which are
written, w m / n counts for the moment; where the next letter is another one, all of it is taken back; once the last
word is complete, w stays. Spaces count for nothing, so nothing is gained at the border of a word. Phrases begin and
end with words. Among matches that overlap, those with the largest sum count. For single words of one weight these are
the scores of pyctcdecode; it splits phrases into words and boosts each of them, which is not done here.
"""

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import TypeAlias

import numpy as np

from ..errors import ArgumentError
from .alphabet import Alphabet, word_hash
from .beams import Floats, Ints

DEFAULT_WEIGHT = 10.0  # pyctcdecode's
NO_MATCH = -1.0  # what counts where no phrase goes on
START, UNKNOWN = 1, -1  # the state at the beginning of a word (0: no match), and one that is still to be looked up
# Matches in progress: the node of each in the trie, and what its beginning had behind what is counted now.
Matches: TypeAlias = tuple[tuple[int, float], ...]


def checked_hotwords(
    hotwords: Sequence[str] | Mapping[str, float], alphabet: Alphabet, weight: float = DEFAULT_WEIGHT
) -> dict[str, float]:
    """Phrases with their weights, spaces made alike, in the alphabet's case. Raises ArgumentError, which names one."""
    if isinstance(hotwords, str):
        raise ArgumentError(
            f"hotwords: expected a list of words or phrases, got the text {hotwords!r}; put it in a list"
        )
    weights = hotwords if isinstance(hotwords, Mapping) else dict.fromkeys(hotwords, weight)
    checked: dict[str, float] = {}
    for phrase, own in weights.items():
        if not isinstance(phrase, str) or not phrase.split():
            raise ArgumentError(f"hotwords: expected words or phrases, got {phrase!r}")
        if isinstance(own, bool) or not isinstance(own, int | float) or not 0 <= own < float("inf"):
            raise ArgumentError(f"hotwords: {phrase!r}: expected a weight of at least 0, got {own!r}")
        spelled = alphabet.respelled(" ".join(phrase.split()))
        missing = alphabet.missing(spelled)
        if missing:
            letters = ", ".join(repr(character) for character in missing)
            raise ArgumentError(f"hotwords: {phrase!r} has letters that the vocabulary lacks: {letters}; spell it out")
        checked[spelled] = max(float(own), checked.get(spelled, 0.0))
    if checked and not alphabet.has_words:
        raise ArgumentError(
            "hotwords: the vocabulary has nothing that separates words, so no word ends; leave them out"
        )
    return checked


class PhraseTrie:
    """All phrases by their characters; what a match is worth at each node, and what stays at the end of a phrase."""

    def __init__(self, phrases: Mapping[str, float]) -> None:
        self.children: list[dict[str, int]] = [{}]
        self.worth = [0.0]
        self.complete: list[float | None] = [None]
        self.spans_words = [False]
        for phrase, weight in phrases.items():
            self._insert(phrase, weight)
        self._keep(0, 0.0)

    def _insert(self, phrase: str, weight: float) -> None:
        total, node, letters = len(phrase.replace(" ", "")), 0, 0
        for character in phrase:
            letters += character != " "
            if character not in self.children[node]:
                self.children[node][character] = len(self.children)
                self.children.append({})
                self.worth.append(0.0)
                self.complete.append(None)
                self.spans_words.append(self.spans_words[node] or character == " ")
            node = self.children[node][character]
            self.worth[node] = max(self.worth[node], weight * letters / total)
        self.complete[node] = max(weight, self.complete[node] or 0.0)

    def _keep(self, root: int, banked: float) -> None:
        """What shorter phrases have brought is kept while a longer one goes on."""
        waiting = [(root, banked)]
        while waiting:
            node, kept = waiting.pop()
            self.worth[node] = max(self.worth[node], kept)
            finished = self.complete[node]
            if finished is not None:
                self.complete[node] = finished = max(finished, kept)
            for character, child in self.children[node].items():
                waiting.append((child, max(kept, finished or 0.0) if character == " " else kept))

    def walk(self, node: int, text: str) -> int | None:
        """The node behind a text, or None."""
        for character in text:
            following = self.children[node].get(character)
            if following is None:
                return None
            node = following
        return node


class HotwordAutomaton:
    """All matches in progress by the letters of a word; `ended` leads over the end of the word.

    It grows with what it is asked, and may serve several searches and threads at a time.

    Attributes of states: `pending`, what counts for the matches in progress, -1 where there are none; `gain`, what
    stays where the word ends here; `history`, a number that says which matches began in an earlier word (0: none).
    """

    def __init__(self, trie: PhraseTrie, texts: Sequence[str]) -> None:
        self._trie, self._lock = trie, RLock()
        self.pending, self.gain, self.history = np.zeros(64), np.zeros(64), np.zeros(64, np.int64)
        self._ended, self._is_ready = np.full(64, UNKNOWN), np.zeros(64, bool)
        self._silent = [column for column, text in enumerate(texts) if not text]
        self._beginning: dict[str, list[int]] = {}
        for column, text in enumerate(texts):
            self._beginning.setdefault(text[:1], []).append(column)
        self._texts = texts
        self._following = np.zeros((64, len(texts)), np.int64)
        self._values = np.full((64, len(texts)), NO_MATCH)
        self.states: list[Matches] = []
        self._ids: dict[Matches, int] = {}
        self.add(())
        self.add(((0, 0.0),))

    def add(self, state: Matches) -> int:
        """The id of a state, which is new or known."""
        existing = self._ids.get(state)
        if existing is not None:
            return existing
        with self._lock:
            return self._ids.get(state) or self._added(state)

    def _added(self, state: Matches) -> int:
        number = len(self.states)
        self.states.append(state)
        if number == len(self.pending):
            missing = number
            self._following = np.pad(self._following, ((0, missing), (0, 0)))
            self._values = np.pad(self._values, ((0, missing), (0, 0)), constant_values=NO_MATCH)
            for name in ("pending", "gain", "history", "_is_ready"):
                setattr(self, name, np.pad(getattr(self, name), (0, missing)))
            self._ended = np.pad(self._ended, (0, missing), constant_values=UNKNOWN)
        worth = max((base + self._trie.worth[node] for node, base in state), default=NO_MATCH)
        self.pending[number] = max(worth, 0.0) if state else NO_MATCH
        self.gain[number] = self._gain(state)
        self.history[number] = self._history(state)
        self._ids[state] = number
        return number

    def _gain(self, state: Matches) -> float:
        complete = self._trie.complete
        return max([0.0, *(base + (complete[node] or 0.0) for node, base in state if complete[node] is not None)])

    def _history(self, state: Matches) -> int:
        begun = [match for match in state if self._trie.spans_words[match[0]]]
        return word_hash(repr(begun)) if begun else 0

    def prepare(self, states: Ints) -> None:
        """Note all that follows some states, before it is asked for."""
        ready = self._is_ready.take(states)
        if np.count_nonzero(ready) == len(ready):
            return
        with self._lock:
            for state in set(states[~ready].tolist()):
                self._follow(state)

    def _follow(self, state: int) -> None:
        matches = self.states[state]
        letters = {letter for node, _ in matches for letter in self._trie.children[node]}
        for column in [column for letter in letters for column in self._beginning.get(letter, ())]:
            text = self._texts[column]
            self._lead(state, column, self._best([(self._trie.walk(node, text), base) for node, base in matches]))
        for column in self._silent:
            self._lead(state, column, matches)
        self._is_ready[state] = True

    def _lead(self, state: int, column: int, target: Matches) -> None:
        number = self.add(target)
        self._following[state, column], self._values[state, column] = number, self.pending[number]

    def reached(self, states: Ints, columns: Ints) -> Ints:
        """The states that tokens lead to, each from a state that is prepared."""
        return self._following.take(states * len(self._texts) + columns)

    def worth(self, states: Ints, columns: Ints) -> Floats:
        """What counts for the matches in progress behind tokens, -1 where there are none; `columns` are broadcast."""
        return self._values.take(states * len(self._texts) + columns)

    def ended(self, states: Ints) -> Ints:
        """The states behind the ends of words that stand in `states`."""
        reached = self._ended[states]
        unknown = reached < 0
        if np.count_nonzero(unknown):
            with self._lock:
                for state in set(states[unknown].tolist()):
                    matches, gain = self.states[state], float(self.gain[state])
                    going = [(self._trie.walk(node, " "), base - gain) for node, base in matches]
                    target = self.add(self._best([*going, (0, 0.0)]))
                    self._ended[state] = target
            reached = self._ended[states]
        return reached

    @staticmethod
    def _best(matches: Sequence[tuple[int | None, float]]) -> Matches:
        best: dict[int, float] = {}
        for node, base in matches:
            if node is not None:
                best[node] = max(base, best.get(node, base))
        return tuple(sorted(best.items()))
