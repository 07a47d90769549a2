"""One frame of a beam search: what all beams become with all tokens, merged, judged and cut down to the best.

Everything is arrays over beams and tokens, `[tokens, beams]`; Python loops over new words and new prefixes only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
    JUDGED,
    LAST,
    LENGTH,
    LOGITS,
    MODEL,
    NO_TOKEN,
    PART,
    PATH,
    PLAIN,
    PREFIX,
    TAIL,
    TEXT,
    TOKEN,
    UNBOOSTED,
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

    With `keep_unboosted`, a search without hotwords runs along with that with hotwords, over the same beams, and where
    the best text has no hotword, it is that of the former: words that are not said change nothing. pyctcdecode does not
    do that.
    """

    beam_width: int = 100
    beam_prune_logp: float = -10.0
    token_min_logp: float = -5.0
    prune_history: bool = False
    keep_unboosted: bool = False


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
        self.contexts: list[Context] = []
        self._scores: list[float] = []  # of the contexts
        self._tails: list[int] = []
        for context in contexts:
            self._add(context)
        self._following: dict[tuple[int, int], int] = {}
        self._column = np.zeros(len(table.texts), np.int64)
        self._column[columns] = np.arange(len(columns))
        self._closes = bool(table.closes[columns].any())
        self.asks_for_word = asks_for_word
        self.guards = hot is not None and options.keep_unboosted

    def _add(self, context: Context) -> None:
        self.contexts.append(context)
        self._scores.append(context.score)
        self._tails.append(hash(context.tail))

    def advance(self, beams: Beams, frame: int, tokens: Ints, logp: Floats) -> Beams:
        """The beams behind a frame in which `tokens [tokens]`, in ascending order, may be emitted, as `logp` says."""
        if len(tokens) == 1 and tokens[0] == self.table.blank:
            grown = self._blank(beams, logp[0])
        else:
            grown = self._tokens(beams, frame, tokens, logp)
        return self._without_history(grown) if self.options.prune_history else grown

    def _blank(self, beams: Beams, logp: np.float64) -> Beams:
        """The beams behind a frame that is blank: those with the same text become one."""
        numbers, scores = beams.numbers, beams.scores
        keys = numbers[TEXT] * TEXTS + numbers[PART]
        totals = scores[JUDGED], scores[UNBOOSTED]
        sources, logits, plain = self._best(keys, scores[LOGITS] + logp, scores[PLAIN] + logp, *totals)
        grown = beams.taken(sources)
        grown.numbers[LAST], grown.scores[LOGITS], grown.scores[PLAIN] = self.table.blank, logits, plain
        return grown

    def _tokens(self, beams: Beams, frame: int, tokens: Ints, logp: Floats) -> Beams:
        numbers, scores, table = beams.numbers, beams.scores, self.table
        column = tokens[:, None]
        stays = (numbers[LAST] == column) | (column == table.blank)
        breaks = table.breaks[column]
        if self._closes or self.asks_for_word:
            breaks = self._with_forced(
                np.repeat(breaks, beams.width, axis=1), stays, tokens, int(tokens[logp.argmax()])
            )
        ended = self.ended(beams) if breaks.any() else None

        parts, lengths, texts = numbers[PART], numbers[LENGTH], numbers[TEXT]
        if ended is not None:
            parts, lengths = np.where(breaks, 0, parts), np.where(breaks, 0, lengths)
            texts = np.where(breaks & ~stays, ended.text, texts)
        parts = np.where(stays, numbers[PART], parts * table.factors[column] + table.terms[column])
        lengths = np.where(stays, numbers[LENGTH], lengths + table.lengths[column])
        keys = (texts * TEXTS + parts + column * TOKENS).ravel()
        states = self._states(beams, ended, tokens, stays, breaks)
        judged, unboosted = (each.ravel() for each in self._judged(beams, ended, stays, breaks, lengths, *states))
        logits = (scores[LOGITS] + logp[:, None]).ravel()
        plain = (scores[PLAIN] + logp[:, None]).ravel() if self.guards else logits
        sources, logits, plain = self._best(keys, logits, plain, judged, unboosted)

        rows, parents = np.divmod(sources, beams.width)
        grown = beams.taken(parents)
        grown.scores[LOGITS], grown.scores[PLAIN] = logits, plain
        begins = breaks[rows, parents] if breaks.shape[1] > 1 else breaks[rows, 0]
        self._write(grown, frame, tokens[rows], np.exp(logp[rows]), begins, ended, parents)
        grown.scores[JUDGED], grown.scores[UNBOOSTED] = judged[sources], unboosted[sources]
        for row, values in zip((PART, LENGTH, PREFIX, HOT), (parts, lengths, *states), strict=True):
            if values is not None:
                grown.numbers[row] = values.ravel()[sources]
        return grown

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

    def _best(
        self, keys: Ints, logits: Floats, plain: Floats, judged: Floats, unboosted: Floats
    ) -> tuple[Ints, Floats, Floats]:
        """The candidates to keep, best first, their logits and their plain logits; of equals, the one that came first.

        Candidates with one key are one: their probabilities add up, and the last of them stands for all.
        """
        order = keys.argsort(kind="stable")
        ordered = keys[order]
        starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        first, last = None, None
        if len(starts) + 1 < len(order):
            ends = np.empty(len(starts) + 1, np.int64)
            ends[:-1], ends[-1] = starts, len(order)
            last = order[ends - 1]
            starts = np.concatenate([[0], starts])
            first, logits = order[starts], np.logaddexp.reduceat(logits[order], starts)
            judged = judged[last]
            if self.guards:
                plain, unboosted = np.logaddexp.reduceat(plain[order], starts), unboosted[last]
        chosen = self._largest(logits + judged, first)
        if self.guards:
            chosen, plain = self._with_plain(chosen, plain, plain + unboosted, first)
        else:
            plain = logits[chosen]
        return (chosen if last is None else last[chosen]), logits[chosen], plain

    def _with_plain(self, chosen: Ints, plain: Floats, totals: Floats, first: Ints | None) -> tuple[Ints, Floats]:
        """`chosen` and those that a search without hotwords keeps, with its logits of them."""
        kept = self._largest(totals, first)
        is_chosen, is_kept = np.zeros((2, len(totals)), bool)
        is_chosen[chosen], is_kept[kept] = True, True
        chosen = np.concatenate([chosen, kept[~is_chosen[kept]]])
        return chosen, np.where(is_kept[chosen], plain[chosen], -np.inf)

    def _largest(self, totals: Floats, first: Ints | None) -> Ints:
        kept = np.flatnonzero(totals >= totals.max() + self.options.beam_prune_logp)
        by_total = (-totals[kept]).argsort(kind="stable") if first is None else np.lexsort((first[kept], -totals[kept]))
        return kept[by_total][: self.options.beam_width]

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
            model = np.array([self._scores[index] for index in context.tolist()])
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
                self._add(fusion.extend(self.contexts[context], self.word(beams, index), part))
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
        columns = self._column[tokens][:, None]
        found: list[Ints | None] = []
        for row, automaton in ((PREFIX, self.prefixes), (HOT, self.hot)):
            if automaton is None:
                found.append(None)
                continue
            states = numbers[row]
            begin = states if ended is None else np.where(breaks, ended.hot if row == HOT else START, states)
            found.append(np.where(stays, states, automaton.step(begin, columns)))
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
    ) -> tuple[Floats, Floats]:
        """What language model and hotwords add to each candidate's logits, and what the language model adds alone."""
        if self.fusion is None and self.hot is None:
            nothing = np.zeros(stays.shape)
            return nothing, nothing
        base = beams.scores[MODEL]
        if ended is not None:
            base = np.where(breaks, ended.model, base)
        partial: Any = 0.0
        if self.fusion is not None and prefixes is not None:
            partial = self.fusion.unfinished(prefixes > 0, lengths)
        unboosted = np.where(stays, beams.scores[UNBOOSTED], base + partial)
        if self.hot is None or hot is None:
            return unboosted, unboosted
        hotwords = beams.scores[HOTWORDS] if ended is None else np.where(breaks, ended.hotwords, beams.scores[HOTWORDS])
        partial = np.where(self.hot.alive[hot], self.hot.pending[hot], partial)
        return np.where(stays, beams.scores[JUDGED], base + hotwords + partial), unboosted

    def _write(
        self,
        grown: Beams,
        frame: int,
        token: Ints,
        probability: Floats,
        begins: Ints,
        ended: Ended | None,
        parents: Ints,
    ) -> None:
        """Note in the chosen candidates, still as their parents were, which token each emits."""
        numbers, scores, table = grown.numbers, grown.scores, self.table
        stays, is_blank = numbers[LAST] == token, token == table.blank
        numbers[LAST] = token
        lasting = np.flatnonzero(stays & ~is_blank)
        if len(lasting):
            numbers[END, lasting] = frame + 1
            scores[EMITTED, lasting] += probability[lasting]
        moved = np.flatnonzero(~(stays | is_blank))
        if not len(moved):
            return
        if ended is not None:
            broken = moved[begins[moved]]
            before = parents[broken]
            for row, values in ((TEXT, ended.text), (TAIL, ended.tail), (CONTEXT, ended.context)):
                numbers[row, broken] = values[before]
            scores[MODEL, broken], scores[HOTWORDS, broken] = ended.model[before], ended.hotwords[before]
        finished = moved[numbers[TOKEN, moved] != NO_TOKEN]
        numbers[PATH, finished] = self.tree.push(grown, finished)
        written = token[moved]
        numbers[BEGINS, moved] = begins[moved] | (numbers[LENGTH, moved] == 0)
        numbers[TOKEN, moved] = np.where(table.lengths[written] > 0, written, NO_TOKEN)
        numbers[FIRST, moved], numbers[END, moved] = frame, frame + 1
        scores[EMITTED, moved] = probability[moved]

    def _without_history(self, beams: Beams) -> Beams:
        """Without those beams that differ from a better one only in words that matter no more."""
        numbers = beams.numbers
        tail = numbers[TAIL]
        if self.fusion is not None:
            tail = np.array([self._tails[index] for index in numbers[CONTEXT].tolist()], np.int64)
        plain = keys = tail * TEXTS + numbers[PART] + numbers[LAST] * TOKENS
        if self.hot is not None:
            keys = keys + self.hot.history[numbers[HOT]]
        if len(set(plain.tolist())) == beams.width:
            return beams
        kept = np.unique(keys, return_index=True)[1]
        if self.guards:
            scores = beams.scores
            known = np.flatnonzero(scores[PLAIN] > -np.inf)
            known = known[(-(scores[PLAIN, known] + scores[UNBOOSTED, known])).argsort(kind="stable")]
            known = known[np.unique(plain[known], return_index=True)[1]]
            still = np.full(beams.width, -np.inf)
            still[known] = scores[PLAIN, known]
            scores[PLAIN] = still
            kept = np.union1d(kept, known)
        kept.sort()
        return beams.taken(kept)
