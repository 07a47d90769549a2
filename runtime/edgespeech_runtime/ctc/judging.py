"""What language model and hotwords say of the beams of a search and of what they may become.

Words are scored only where it can matter: until then a candidate that begins another word has a score that is no less
than what will come out, and is `is_open`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .alphabet import TokenTable, signed
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
from .hotwords import START, HotwordAutomaton
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

    `stays`: the text stays as it is; `breaks`: the token begins a word, None where none does.
    """

    parents: Ints
    columns: Ints
    stays: Bools
    breaks: Bools | None

    def taken(self, which: Ints) -> "Candidates":
        """Some of them."""
        parents, columns, stays, breaks = self
        return Candidates(
            parents.take(which), columns.take(which), stays.take(which), None if breaks is None else breaks.take(which)
        )


class Judgement(NamedTuple):
    """What is added to candidates' logits, and without hotwords; which are open; and their cells in the automata."""

    judged: Floats
    unboosted: Floats
    is_open: Bools | None = None
    prefixes: Ints | None = None
    hot: Ints | None = None


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
        else:
            context = numbers[NEXT]
            at_best = model + self.fusion.at_best(numbers[PREFIX])
            model = np.where(context == OPEN, at_best, self._scores.take(context))
            tail = self._tails.take(context)
        hot, hotwords = numbers[HOT], scores[HOTWORDS]
        if self.hot is not None:
            hotwords = np.where(has_word, hotwords + self.hot.gain.take(hot), hotwords)
            hot = np.where(has_word, self.hot.ended(np.where(has_word, hot, START)), hot)
        ended = Ended(text, tail, context, hot, model, hotwords)
        if self.fusion is not None and self.fusion.weights.alpha < 0:  # nothing is known of what a word adds at most
            self.settle(beams, ended, np.arange(beams.width))
        return ended

    def judge(self, beams: Beams, ended: Ended | None, some: Candidates) -> Judgement:
        """What language model and hotwords add to candidates' logits."""
        if self.fusion is None and self.hot is None:
            nothing = np.zeros(len(some.parents))
            return Judgement(nothing, nothing)
        numbers, scores = beams.numbers, beams.scores
        parents, columns, stays, breaks = some
        base, is_open, cells, partial = scores[MODEL].take(parents), None, None, None
        if ended is not None and breaks is not None:
            base = np.where(breaks, ended.model.take(parents), base)
        unboosted = base
        if self.prefixes is not None:
            rows = self.prefixes.rows(numbers[PREFIX]).take(parents)
            if ended is not None and breaks is not None:
                rows[breaks] = self.prefixes.root
                is_open = breaks & (ended.context.take(parents) == OPEN)
            cells = self.prefixes.cells(rows, columns)
            partial = self.prefixes.costs(cells)
            unboosted = base + partial
        unboosted = np.where(stays, scores[UNBOOSTED].take(parents), unboosted)
        if self.hot is None:
            return Judgement(unboosted, unboosted, is_open, cells)
        states, hotwords = numbers[HOT].take(parents), scores[HOTWORDS].take(parents)
        self.hot.prepare(numbers[HOT])
        if ended is not None and breaks is not None:
            self.hot.prepare(ended.hot)
            states = np.where(breaks, ended.hot.take(parents), states)
            hotwords = np.where(breaks, ended.hotwords.take(parents), hotwords)
        hot = self.hot.cells(states, columns)
        pending = self.hot.worth(hot)
        added = np.where(pending < 0, 0.0 if partial is None else partial, pending)
        judged = np.where(stays, scores[JUDGED].take(parents), base + hotwords + added)
        return Judgement(judged, unboosted, is_open, cells, hot)

    def settle(self, beams: Beams, ended: Ended, parents: Ints) -> None:
        """Score the words that some beams end."""
        if self.fusion is None:
            return
        for index in set(parents.tolist()):
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
        prefix = int(beams.numbers[PREFIX, index])
        if not fusion.knows_words:
            return self.word(beams, index)
        return fusion.prefixes.text(prefix) if prefix >= 0 and fusion.prefixes.is_word[prefix] else UNKNOWN_WORD

    def word(self, beams: Beams, index: int) -> str:
        """The word that a beam is writing, as far as it is written."""
        return "".join(self._table.texts[token] for token in self._tree.word(beams, index))
