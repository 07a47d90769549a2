"""What language model and hotwords say of the beams of a search and of what they may become.

Words are scored, and prefixes looked up, only where it can matter: until then a candidate stands with a score that is
no less than what will come out, and is `is_open`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .alphabet import TokenTable, signed
from .automaton import START
from .beams import (
    CONTEXT,
    HOT,
    HOTWORDS,
    JUDGED,
    LENGTH,
    MODEL,
    NEXT,
    OPEN,
    PART,
    PREFIX,
    TAIL,
    TEXT,
    UNBOOSTED,
    Beams,
    Bools,
    Context,
    Floats,
    Ints,
)
from .fusion import Fusion
from .hotwords import HotwordAutomaton
from .paths import PathTree
from .prefixes import PrefixAutomaton

UNKNOWN_WORD = "<unk>"
# Odd numbers that mix hashes; by them a text is the sum of its words, and a beam that of its parts.
WORDS, TEXTS, TOKENS = map(signed, (0x8CB92BA72F3D8DD7, 0xD1342543DE82EF95, 0xAF251AF3B0F025B5))


class Ended(NamedTuple):
    """What all beams would be if their words ended here; `context` -1 where it is not known yet."""

    text: Ints
    tail: Ints
    context: Ints
    hot: Ints
    model: Floats
    hotwords: Floats


class Candidates(NamedTuple):
    """What some beams may become, arrays over candidates: a beam's index, a token as the index of its column.

    `stays`: the text stays as it is; `breaks`: the token begins a word.
    """

    parents: Ints
    columns: Ints
    stays: Bools
    breaks: Bools

    def taken(self, which: Ints) -> "Candidates":
        """Some of them."""
        return Candidates(*(values.take(which) for values in self))


class Judge:
    """Language model, hotwords, and what has been asked of them so far."""

    def __init__(
        self,
        table: TokenTable,
        fusion: Fusion | None,
        prefixes: PrefixAutomaton | None,
        hot: HotwordAutomaton | None,
        contexts: Sequence[Context],
        tree: PathTree,
    ) -> None:
        self._table, self._tree = table, tree
        self.fusion, self.prefixes, self.hot = fusion, prefixes, hot
        self.contexts: list[Context] = []
        self._scores, self._tails = np.zeros(64), np.zeros(64, np.int64)  # of the contexts
        for context in contexts:
            self._add(context)
        self._following: dict[tuple[int, int], int] = {}

    def _add(self, context: Context) -> int:
        number = len(self.contexts)
        if number == len(self._scores):
            self._scores, self._tails = np.pad(self._scores, (0, number)), np.pad(self._tails, (0, number))
        self.contexts.append(context)
        self._scores[number], self._tails[number] = context.score, hash(context.tail) if context.tail else 0
        return number

    def ended(self, beams: Beams) -> Ended:
        """What the beams would be if their words ended here; those between words stay as they are."""
        numbers, scores = beams.numbers, beams.scores
        has_word = numbers[LENGTH] > 0
        text = np.where(has_word, numbers[TEXT] * WORDS + numbers[PART] + TOKENS, numbers[TEXT])
        tail, context, model = numbers[TAIL], numbers[CONTEXT], scores[MODEL]
        if self.fusion is None:
            tail = np.where(has_word, numbers[PART], tail)
        elif self.prefixes is not None:
            context = numbers[NEXT]
            is_open = context == OPEN
            at_best = model + self.fusion.at_best(self.prefixes.is_unknown.take(numbers[PREFIX]))
            model, tail = np.where(is_open, at_best, self._scores.take(context)), self._tails.take(context)
        hot, hotwords = numbers[HOT], scores[HOTWORDS]
        if self.hot is not None:
            hotwords = np.where(has_word, hotwords + self.hot.gain.take(hot), hotwords)
            hot = np.where(has_word, self.hot.ended(np.where(has_word, hot, START)), hot)
        return Ended(text, tail, context, hot, model, hotwords)

    def word(self, beams: Beams, index: int) -> str:
        """The word that a beam is writing, as far as it is written."""
        return "".join(self._table.texts[token] for token in self._tree.word(beams, index))

    def judged(
        self, beams: Beams, ended: Ended | None, some: Candidates
    ) -> tuple[Floats, Floats, Bools | None]:
        """What language model and hotwords add to candidates' logits, and the language model alone; which are open."""
        numbers, scores = beams.numbers, beams.scores
        parents, columns, stays, breaks = some
        if self.fusion is None and self.hot is None:
            nothing = np.zeros(len(parents))
            return nothing, nothing, None
        base = scores[MODEL].take(parents)
        if ended is not None:
            base = np.where(breaks, ended.model.take(parents), base)
        is_open = None
        unboosted, partial = base, None
        if self.prefixes is not None:
            states = numbers[PREFIX].take(parents)
            states[breaks] = START
            partial = self.prefixes.worth(states, columns)
            is_open = np.isinf(partial) & ~stays
            partial[is_open] = self.prefixes.at_best
            if ended is not None:
                is_open |= breaks & (ended.context.take(parents) == OPEN)
            unboosted = base + partial
        unboosted = np.where(stays, scores[UNBOOSTED].take(parents), unboosted)
        if self.hot is None:
            return unboosted, unboosted, is_open
        states, hotwords = numbers[HOT].take(parents), scores[HOTWORDS].take(parents)
        if ended is not None:
            states, hotwords = (
                np.where(breaks, ended.hot.take(parents), states),
                np.where(breaks, ended.hotwords.take(parents), hotwords),
            )
        self.hot.prepare(states)
        pending = self.hot.worth(states, columns)
        added = np.where(pending < 0, 0.0 if partial is None else partial, pending)
        return np.where(stays, scores[JUDGED].take(parents), base + hotwords + added), unboosted, is_open

    def settle(self, beams: Beams, ended: Ended | None, some: Candidates) -> None:
        """Find out what candidates that are open are worth; `judged` knows it afterwards."""
        if self.fusion is None or self.prefixes is None:
            return
        states = beams.numbers[PREFIX].take(some.parents)
        states[some.breaks] = START
        self.prefixes.settle(states, some.columns)
        if ended is not None:
            for index in set(some.parents[some.breaks].tolist()):
                if ended.context[index] == OPEN:
                    following = self._next_context(self.fusion, beams, index)
                    ended.context[index] = following  # which is the beams' own row
                    ended.model[index], ended.tail[index] = self._scores[following], self._tails[following]

    def _next_context(self, fusion: Fusion, beams: Beams, index: int) -> int:
        """The context of a beam behind the word that it is writing."""
        pair = int(beams.numbers[CONTEXT, index]), int(beams.numbers[PART, index])
        following = self._following.get(pair)
        if following is None:
            context, part = pair
            following = self._add(fusion.extend(self.contexts[context], self._word(fusion, beams, index), part))
            self._following[pair] = following
        return following

    def _word(self, fusion: Fusion, beams: Beams, index: int) -> str:
        """The word that a beam is writing, or another that is as unknown."""
        prefix = None if self.prefixes is None else self.prefixes.word(int(beams.numbers[PREFIX, index]))
        if prefix is not None:
            return prefix
        return UNKNOWN_WORD if fusion.knows_words else self.word(beams, index)
