"""What language model and hotwords say of texts and of what they may become.

Words are scored only where it can matter: until then a text whose word ended has a score that is no less than what
will come out, and its context is open.
"""

from collections.abc import Callable, Sequence
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
from .prefixes import Prefixes

UNKNOWN_WORD = "<unk>"
# Odd numbers that mix hashes; by them a text is the sum of its words, and a beam that of its parts.
WORDS, TEXTS, TOKENS = map(signed, (0x8CB92BA72F3D8DD7, 0xD1342543DE82EF95, 0xAF251AF3B0F025B5))
Costs = tuple[Floats, Floats]  # what is added to logits, with hotwords and without


class Ended(NamedTuple):
    """What texts would be if their words ended here; `context` is OPEN where it is not known yet."""

    text: Ints
    tail: Ints
    context: Ints
    hot: Ints
    model: Floats
    hotwords: Floats

    def taken(self, which: Ints) -> "Ended":
        """Some of them."""
        text, tail, context, hot, model, hotwords = self
        return Ended(
            text.take(which),
            tail.take(which),
            context.take(which),
            hot.take(which),
            model.take(which),
            hotwords.take(which),
        )


class Judge:
    """Language model, hotwords, and what has been asked of them so far."""

    def __init__(
        self,
        table: TokenTable,
        fusion: Fusion | None,
        prefixes: Prefixes | None,
        hot: HotwordAutomaton | None,
        contexts: Sequence[Context],
    ) -> None:
        self._table = table
        self.fusion, self.prefixes, self.hot = fusion, prefixes, hot
        self.is_silent = fusion is None and hot is None
        self.contexts = list(contexts)
        self._scores, self._tails = np.zeros(64), np.zeros(64, np.int64)  # of the contexts
        self._note(0)
        self._following: dict[tuple[int, int], int] = {}
        self._root = np.zeros(1, np.int64)

    def _note(self, start: int) -> None:
        """Put scores and tails of the contexts from `start` on into arrays."""
        stop, room = len(self.contexts), len(self._scores)
        if stop > room:
            more = max(stop, 2 * room) - room
            self._scores, self._tails = np.pad(self._scores, (0, more)), np.pad(self._tails, (0, more))
        new = self.contexts[start:]
        self._scores[start:stop] = [context.score for context in new]
        self._tails[start:stop] = [hash(context.tail) if context.tail else 0 for context in new]

    def prepare(self, texts: Beams) -> None:
        """Make ready for texts, before `grid` is asked of them."""
        if self.hot is not None:
            self.hot.prepare(texts.numbers[HOT])

    def grid(self, texts: Beams, columns: Ints, stays: Bools, guards: bool) -> Costs:
        """What is added for texts with one more token each, `[tokens, texts]`; the same twice without `guards`.

        `columns [tokens, 1]`; where the text `stays`, what it has.
        """
        numbers, scores = texts
        model, costs = scores[MODEL], None
        if self.prefixes is not None:
            costs = self.prefixes.costs(numbers[PREFIX], columns)
        unboosted = np.zeros(stays.shape) if costs is None else costs.copy() if self.hot is not None else costs
        unboosted += model
        np.copyto(unboosted, scores[UNBOOSTED], where=stays)
        if self.hot is None:
            return unboosted, unboosted
        judged = self.hot.worth(numbers[HOT], columns)
        np.copyto(judged, 0.0 if costs is None else costs, where=judged < 0)
        judged += model + scores[HOTWORDS]
        np.copyto(judged, scores[JUDGED], where=stays)
        return judged, unboosted

    def ended(self, texts: Beams) -> Ended:
        """What texts would be if their words ended here; those between words stay as they are.

        Of beams, the rows that belong to texts are enough.
        """
        numbers, scores = texts
        has_word = numbers[LENGTH] > 0
        text = numbers[TEXT].copy()
        np.copyto(text, text * WORDS + numbers[PART] + TOKENS, where=has_word)
        tail, context, model = numbers[TAIL], numbers[CONTEXT], scores[MODEL]
        if self.fusion is None:
            tail = np.where(has_word, numbers[PART], tail)
        else:
            context = numbers[NEXT].copy()
            model = model + self.fusion.at_best(numbers[PREFIX])
            np.copyto(model, self._scores.take(context), where=context != OPEN)
            tail = self._tails.take(context)
        hot, hotwords = numbers[HOT], scores[HOTWORDS]
        if self.hot is not None:
            hotwords = np.where(has_word, hotwords + self.hot.gain.take(hot), hotwords)
            hot = np.where(has_word, self.hot.ended(np.where(has_word, hot, START)), hot)
        return Ended(text, tail, context, hot, model, hotwords)

    def ending(self, ended: Ended, which: Ints | slice, column: Ints) -> Costs:
        """What is added for some texts, whose words have ended, with a token each, or with one."""
        costs = np.zeros(len(column))
        if self.prefixes is not None:
            costs = self.prefixes.costs(self._root, column[:, None])[:, 0]
        model = ended.model[which]
        if self.hot is None:
            unboosted = model + costs
            return unboosted, unboosted
        states = ended.hot[which]
        self.hot.prepare(states)
        pending = self.hot.worth(states, column)
        return model + ended.hotwords[which] + np.where(pending < 0, costs, pending), model + costs

    def settle(self, texts: Beams, ended: Ended, which: Ints, words: Callable[[int], str]) -> None:
        """Score the words that some of these texts end; `words` gives a text's word where nothing else does."""
        if self.fusion is None:
            return
        which = which[ended.context.take(which) == OPEN]
        numbers = texts.numbers[[CONTEXT, PART, PREFIX]].take(which, axis=1).tolist()
        start, following, contexts = len(self.contexts), self._following, self.contexts
        found = []
        for index, context, part, prefix in zip(which.tolist(), *numbers, strict=True):
            number = following.get((context, part))
            if number is None:
                known_word = self.fusion.prefixes.word(prefix) if self.fusion.knows_words else words(index)
                word = known_word or UNKNOWN_WORD  # of what is not known, any is as unknown
                number = following[context, part] = len(contexts)
                contexts.append(self.fusion.extend(contexts[context], word, part))
            found.append(number)
        self._note(start)
        ended.context[which] = found
        ended.model[which], ended.tail[which] = self._scores.take(found), self._tails.take(found)
