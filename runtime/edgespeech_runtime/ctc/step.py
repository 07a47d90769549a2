"""One frame of a beam search: what all beams become with all tokens, merged, judged and cut down to the best.

Everything is arrays over beams and tokens, `[tokens, beams]`; Python loops over new words and new prefixes only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .alphabet import TokenTable, signed
from .automaton import START
from .beams import (
    BEGINS,
    CONTEXT,
    EMITTED,
    END,
    FIRST,
    HOT,
    HOTWORDS,
    LAST,
    LENGTH,
    LOGITS,
    MODEL,
    NO_TOKEN,
    PART,
    PATH,
    PREFIX,
    TAIL,
    TEXT,
    TOKEN,
    Beams,
    Context,
    Floats,
    Ints,
)
from .fusion import Fusion, PrefixAutomaton
from .hotwords import HotwordAutomaton
from .paths import PathTree

# Odd numbers that mix hashes; by them a text is the sum of its words, and a beam that of its parts.
WORDS, TEXTS, TOKENS = map(signed, (0x8CB92BA72F3D8DD7, 0xD1342543DE82EF95, 0xAF251AF3B0F025B5))


@dataclass(frozen=True)
class BeamOptions:
    """How wide to search; the defaults are pyctcdecode's.

    `beam_width` beams are kept; those `beam_prune_logp` below the best are dropped. Tokens below `token_min_logp` are
    not tried, but for a frame's best. With `prune_history`, of beams that differ only in words too old for the language
    model to matter, the best is kept: right where only the best text is asked for.
    """

    beam_width: int = 100
    beam_prune_logp: float = -10.0
    token_min_logp: float = -5.0
    prune_history: bool = False


class Ended(NamedTuple):
    """What all beams would be if their words ended here."""

    text: Ints
    tail: Ints
    context: Ints
    hot: Ints
    model: Floats
    hotwords: Floats


class FrameStep:
    """The parts of a search that serve for some frames, in which tokens other than `columns` do not occur.

    `asks_for_word`: the last piece that was tried ends its own word ("▁⁇▁"), so that the next one, in the order of
    tokens and beams, begins another. That is a matter of the search and not of a beam, as in pyctcdecode.
    """

    def __init__(
        self,
        table: TokenTable,
        options: BeamOptions,
        columns: Ints,
        fusion: Fusion | None,
        prefixes: PrefixAutomaton | None,
        hot: HotwordAutomaton | None,
        contexts: Sequence[Context],
        tree: PathTree,
        asks_for_word: bool = False,
    ) -> None:
        self.table, self.options, self.tree = table, options, tree
        self.fusion, self.prefixes, self.hot = fusion, prefixes, hot
        self.contexts = list(contexts)
        self._following: dict[tuple[int, int], int] = {}
        self._column = np.zeros(len(table.texts), np.int64)
        self._column[columns] = np.arange(len(columns))
        self._closes = bool(table.closes[columns].any())
        self.asks_for_word = asks_for_word

    def advance(self, beams: Beams, frame: int, tokens: Ints, logp: Floats) -> Beams:
        """The beams behind a frame in which `tokens [tokens]`, in ascending order, may be emitted, as `logp` says."""
        numbers, scores, table = beams.numbers, beams.scores, self.table
        stays = (numbers[LAST] == tokens[:, None]) | (tokens == table.blank)[:, None]
        breaks = np.broadcast_to(table.breaks[tokens][:, None], stays.shape)
        if self._closes or self.asks_for_word:
            breaks = self._with_forced(breaks, stays, tokens, int(tokens[logp.argmax()]))
        ended = self.ended(beams) if breaks.any() else None

        # What identifies each candidate, and what it is worth.
        emitted = np.broadcast_to(tokens[:, None], stays.shape)
        parts, lengths = numbers[PART], numbers[LENGTH]
        parts = np.where(breaks, 0, parts) * table.factors[tokens][:, None] + table.terms[tokens][:, None]
        parts = np.where(stays, numbers[PART], parts)
        texts = numbers[TEXT] if ended is None else np.where(breaks & ~stays, ended.text, numbers[TEXT])
        keys = texts * TEXTS + parts + emitted * TOKENS
        lengths = np.where(stays, lengths, np.where(breaks, 0, lengths) + table.lengths[tokens][:, None])
        logits = scores[LOGITS] + logp[:, None]
        states = self._states(beams, ended, tokens, stays, breaks)
        judged = self._judged(beams, ended, stays, breaks, lengths, *states)

        # Equal ones are one: their probabilities add up, the path is that of the last.
        keys, logits, judged = keys.ravel(), logits.ravel(), judged.ravel()
        order = np.argsort(keys, kind="stable")
        is_first = np.empty(len(order), bool)
        is_first[0] = True
        ordered = keys[order]
        np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
        starts = np.flatnonzero(is_first)
        first, last = order[starts], order[np.append(starts[1:], len(order)) - 1]
        merged = np.logaddexp.reduceat(logits[order], starts) if len(starts) < len(order) else logits[order]

        chosen = self._best(merged + judged[last], first)
        sources = last[chosen]
        begins = breaks.ravel()[sources]
        grown = self._grown(beams, ended, frame, tokens, logp, sources, begins, merged[chosen])
        numbers = grown.numbers
        numbers[PART], numbers[LENGTH] = parts.ravel()[sources], lengths.ravel()[sources]
        for row, state in zip((PREFIX, HOT), states, strict=True):
            if state is not None:
                numbers[row] = state.ravel()[sources]
        return self._without_history(grown) if self.options.prune_history else grown

    def _with_forced(self, breaks: Ints, stays: Ints, tokens: Ints, best: int) -> Ints:
        """`breaks` with those that a piece before asked for; tokens in the order of a set of their ids, as there."""
        forced, closes = breaks.copy(), self.table.closes[tokens].tolist()
        rows = {token: row for row, token in enumerate(tokens.tolist())}
        for token in set(tokens.tolist()) | {best}:  # in CPython, how a set is made decides its order
            moving = np.flatnonzero(~stays[rows[token]])
            if len(moving):
                forced[rows[token], moving[0]] |= self.asks_for_word
                self.asks_for_word = closes[rows[token]]
        return forced

    def _best(self, totals: Floats, first: Ints) -> Ints:
        """The candidates to keep, best first; of equals, the one that came first."""
        kept = np.flatnonzero(totals >= totals.max() + self.options.beam_prune_logp)
        ranked = kept[np.lexsort((first[kept], -totals[kept]))]
        return ranked[: self.options.beam_width]

    def ended(self, beams: Beams) -> Ended:
        """What the beams would be if their words ended here; those between words stay as they are."""
        numbers, scores = beams.numbers, beams.scores
        has_word = numbers[LENGTH] > 0
        text = np.where(has_word, numbers[TEXT] * WORDS + numbers[PART] + TOKENS, numbers[TEXT])
        tail, context, model = numbers[TAIL], numbers[CONTEXT], scores[MODEL]
        if self.fusion is None:
            tail = np.where(has_word, numbers[PART], tail)
        else:
            context = np.where(has_word, self._next_contexts(self.fusion, beams, np.flatnonzero(has_word)), context)
            model = np.array([self.contexts[index].score for index in context.tolist()])
        hot, hotwords = numbers[HOT], scores[HOTWORDS]
        if self.hot is not None:
            hotwords = np.where(has_word, hotwords + self.hot.gain[hot], hotwords)
            hot = np.where(has_word, self.hot.ended(np.where(has_word, hot, START)), hot)
        return Ended(text, tail, context, hot, model, hotwords)

    def _next_contexts(self, fusion: Fusion, beams: Beams, which: Ints) -> Ints:
        """The context of each beam behind the word it is writing; of those without one, anything."""
        found = np.zeros(beams.width, np.int64)
        pairs = zip(beams.numbers[CONTEXT, which].tolist(), beams.numbers[PART, which].tolist(), strict=True)
        for index, pair in zip(which.tolist(), pairs, strict=True):
            following = self._following.get(pair)
            if following is None:
                context, part = pair
                following = self._following[pair] = len(self.contexts)
                self.contexts.append(fusion.extend(self.contexts[context], self.word(beams, index), part))
            found[index] = following
        return found

    def word(self, beams: Beams, index: int) -> str:
        """The word that a beam is writing, as far as it is written."""
        return "".join(self.table.texts[token] for token in self.tree.word(beams, index))

    def _states(
        self, beams: Beams, ended: Ended | None, tokens: Ints, stays: Ints, breaks: Ints
    ) -> "tuple[Ints | None, Ints | None]":
        """The automata's states of each candidate, None where there is no automaton."""
        numbers = beams.numbers
        columns = np.broadcast_to(self._column[tokens][:, None], stays.shape)
        moves = ~stays
        found: list[Ints | None] = []
        for row, automaton in ((PREFIX, self.prefixes), (HOT, self.hot)):
            if automaton is None:
                found.append(None)
                continue
            states = np.broadcast_to(numbers[row], stays.shape).copy()
            if ended is not None:
                begin = ended.hot if row == HOT else np.full_like(ended.hot, START)
                states = np.where(breaks & moves, begin, states)
            states[moves] = automaton.step(states[moves], columns[moves])
            found.append(states)
        return found[0], found[1]

    def _judged(
        self,
        beams: Beams,
        ended: Ended | None,
        stays: Ints,
        breaks: Ints,
        lengths: Ints,
        prefixes: Ints | None,
        hot: Ints | None,
    ) -> Floats:
        """What language model and hotwords add to each candidate's logits."""
        if self.fusion is None and self.hot is None:
            return np.zeros(stays.shape)
        base = beams.scores[MODEL] + beams.scores[HOTWORDS]
        if ended is not None:
            base = np.where(breaks & ~stays, ended.model + ended.hotwords, base)
        partial = np.zeros(stays.shape)
        if self.fusion is not None and prefixes is not None:
            partial = self.fusion.unfinished(prefixes > 0, lengths)
        if self.hot is not None and hot is not None:
            partial = np.where(self.hot.alive[hot], self.hot.pending[hot], partial)
        return np.asarray(base + partial)

    def _grown(
        self,
        beams: Beams,
        ended: Ended | None,
        frame: int,
        tokens: Ints,
        logp: Floats,
        sources: Ints,
        begins: Ints,
        logits: Floats,
    ) -> Beams:
        """The chosen candidates as beams; parts, lengths and states of automata are the caller's."""
        rows, parents = np.divmod(sources, beams.width)
        token, table = tokens[rows], self.table
        numbers, scores = beams.numbers[:, parents], beams.scores[:, parents]
        scores[LOGITS] = logits
        stays = numbers[LAST] == token
        is_blank = token == table.blank
        lasts = stays & ~is_blank  # the token being emitted goes on
        moves = ~(stays | is_blank)
        numbers[LAST] = token
        probability = np.exp(logp[rows])
        numbers[END] = np.where(lasts & (numbers[TOKEN] != NO_TOKEN), frame + 1, numbers[END])
        scores[EMITTED] += np.where(lasts, probability, 0.0)
        moved = np.flatnonzero(moves)
        if not len(moved):
            return Beams(numbers, scores)
        if ended is not None:
            words = moves & begins
            for row, values in ((TEXT, ended.text), (TAIL, ended.tail), (CONTEXT, ended.context)):
                numbers[row] = np.where(words, values[parents], numbers[row])
            for row, amounts in ((MODEL, ended.model), (HOTWORDS, ended.hotwords)):
                scores[row] = np.where(words, amounts[parents], scores[row])
        finished = np.flatnonzero(moves & (numbers[TOKEN] != NO_TOKEN))
        numbers[PATH, finished] = self.tree.push(Beams(numbers, scores), finished)
        numbers[BEGINS] = np.where(moves, begins | (numbers[LENGTH] == 0), numbers[BEGINS])
        numbers[TOKEN] = np.where(moves, np.where(table.lengths[token] > 0, token, NO_TOKEN), numbers[TOKEN])
        numbers[FIRST] = np.where(moves, frame, numbers[FIRST])
        numbers[END] = np.where(moves, frame + 1, numbers[END])
        scores[EMITTED] = np.where(moves, probability, scores[EMITTED])
        return Beams(numbers, scores)

    def _without_history(self, beams: Beams) -> Beams:
        """Without those beams that differ from a better one only in words that matter no more."""
        numbers = beams.numbers
        tail = numbers[TAIL]
        if self.fusion is not None:
            tail = np.array([hash(self.contexts[index].tail) for index in numbers[CONTEXT].tolist()], np.int64)
        keys = tail * TEXTS + numbers[PART] + numbers[LAST] * TOKENS
        if self.hot is not None:
            keys = keys + self.hot.history[numbers[HOT]]
        first = np.unique(keys, return_index=True)[1]
        if len(first) == beams.width:
            return beams
        first.sort()
        return Beams(numbers[:, first], beams.scores[:, first])
