"""One frame of a beam search: what all beams become with all tokens, merged, judged and cut down to the best.

Everything is arrays over beams or candidates; Python loops over new words and new prefixes only.
"""

from dataclasses import dataclass

import numpy as np

from .alphabet import TokenTable
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
    NEXT,
    NO_TOKEN,
    OPEN,
    PART,
    PATH,
    PLAIN,
    PREFIX,
    TAIL,
    TEXT,
    TOKEN,
    UNBOOSTED,
    Beams,
    Bools,
    Floats,
    Ints,
)
from .judging import TEXTS, TOKENS, Candidates, Ended, Judge
from .merging import Merged, largest, merge
from .paths import PathTree


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
        judge: Judge,
        tree: PathTree,
        asks_for_word: bool = False,
    ) -> None:
        self.table, self.options, self.judge, self.tree = table, options, judge, tree
        self._column = np.zeros(len(table.texts), np.int64)
        self._column[columns] = np.arange(len(columns))
        self._steps = table.terms + np.arange(len(table.texts)) * TOKENS  # what a token adds to the key of a word
        self._shown = np.where(table.lengths > 0, np.arange(len(table.texts)), NO_TOKEN)
        self._rows = np.full(len(table.texts) + 1, -1)  # of a frame's tokens; -1 (no token) is the last
        self._closes = bool(table.closes[columns].any())
        self.asks_for_word = asks_for_word
        self.guards = judge.hot is not None and options.keep_unboosted

    def advance(self, beams: Beams, frame: int, tokens: Ints, logp: Floats) -> Beams:
        """The beams behind a frame in which `tokens [tokens]`, in ascending order, may be emitted, as `logp` says."""
        if len(tokens) == 1 and tokens[0] == self.table.blank:
            grown = self._blank(beams, logp)
        else:
            grown = self._tokens(beams, frame, tokens, logp)
        return self._without_history(grown) if self.options.prune_history else grown

    def _blank(self, beams: Beams, logp: Floats) -> Beams:
        """The beams behind a frame that is blank: those with the same text become one."""
        numbers, scores = beams.numbers, beams.scores
        merged = merge(numbers[TEXT] * TEXTS + numbers[PART])
        if merged.is_trivial:
            scores[LOGITS] += logp
            scores[PLAIN] += logp
            numbers[LAST] = self.table.blank
            return beams
        judged, unboosted = scores[JUDGED].take(merged.last), scores[UNBOOSTED].take(merged.last)
        logits, plain = merged.sums(scores[LOGITS] + logp), None
        if self.guards:
            plain = merged.sums(scores[PLAIN] + logp)
        chosen, logits, plain = self._chosen(merged, logits, plain, judged, unboosted)
        grown = beams.taken(merged.last.take(chosen))
        grown.numbers[LAST], grown.scores[LOGITS], grown.scores[PLAIN] = self.table.blank, logits, plain
        return grown

    def _tokens(self, beams: Beams, frame: int, tokens: Ints, logp: Floats) -> Beams:
        numbers, scores, table, width = beams.numbers, beams.scores, self.table, beams.width
        self._rows[tokens] = np.arange(len(tokens))
        self._rows[table.blank] = -1
        row = self._rows.take(numbers[LAST])
        self._rows[tokens] = -1
        staying = (row >= 0).nonzero()[0]  # beams whose last token may come again
        cells = row.take(staying) * width + staying
        stays = np.repeat(tokens == table.blank, width)
        stays[cells] = True
        ended, breaks = self._breaks(beams, tokens, logp, stays)

        texts, parts = numbers[TEXT] * TEXTS, numbers[PART]
        grid = parts * table.factors.take(tokens)[:, None]
        grid += texts
        keys = grid.ravel()
        if ended is not None:
            broken = breaks.nonzero()[0]
            keys[broken] = ended.text.take(broken % width) * TEXTS
        grid += self._steps.take(tokens)[:, None]
        keys[cells] = (texts + parts).take(staying) + numbers[LAST].take(staying) * TOKENS
        merged = merge(keys)
        rows, parents = np.divmod(merged.last, width)
        some = Candidates(
            parents, self._column.take(tokens.take(rows)), stays.take(merged.last), breaks.take(merged.last)
        )
        logits = merged.sums((scores[LOGITS] + logp[:, None]).ravel())
        plain = merged.sums((scores[PLAIN] + logp[:, None]).ravel()) if self.guards else None
        judged, unboosted = self._judged(beams, ended, some, logits, plain)
        chosen, logits, plain = self._chosen(merged, logits, plain, judged, unboosted)

        some, rows = some.taken(chosen), rows.take(chosen)
        grown = beams.taken(some.parents)
        self._write(grown, frame, tokens.take(rows), np.exp(logp).take(rows), ended, some)
        grown.scores[LOGITS], grown.scores[PLAIN] = logits, plain
        grown.scores[JUDGED], grown.scores[UNBOOSTED] = judged.take(chosen), unboosted.take(chosen)
        return grown

    def _breaks(self, beams: Beams, tokens: Ints, logp: Floats, stays: Bools) -> tuple[Ended | None, Bools]:
        """What ended words are, if any may end, and which candidates `[tokens * beams]` end one."""
        begins = self.table.breaks.take(tokens)
        breaks = np.repeat(begins, beams.width)
        breaks &= ~stays
        if self._closes or self.asks_for_word:
            self._force(breaks, stays.reshape(len(tokens), -1), tokens, int(tokens[logp.argmax()]))
        return (self.judge.ended(beams) if breaks.any() else None), breaks

    def _force(self, breaks: Bools, stays: Bools, tokens: Ints, best: int) -> None:
        """Add to `breaks` those that a piece before asked for; tokens in the order of a set of their ids, as there."""
        closes = self.table.closes[tokens].tolist()
        rows = {token: row for row, token in enumerate(tokens.tolist())}
        for token in set(tokens.tolist()) | {best}:  # in CPython, how a set is made decides its order
            moving = (~stays[rows[token]]).nonzero()[0]
            if len(moving):
                breaks[rows[token] * stays.shape[1] + moving[0]] |= self.asks_for_word
                self.asks_for_word = closes[rows[token]]

    def _judged(
        self, beams: Beams, ended: Ended | None, some: Candidates, logits: Floats, plain: Floats | None
    ) -> tuple[Floats, Floats]:
        """What language model and hotwords add, as `Judge.judged`; -inf for candidates that cannot be kept."""
        judged, unboosted, is_open = self.judge.judged(beams, ended, some)
        if is_open is None or not is_open.any():
            return judged, unboosted
        needed = self._can_be_kept(logits + judged, is_open)
        if plain is not None:
            needed |= self._can_be_kept(plain + unboosted, is_open)
        needed &= is_open
        judged[is_open] = unboosted[is_open] = -np.inf
        which = needed.nonzero()[0]
        if len(which):
            few = some.taken(which)
            self.judge.settle(beams, ended, few)
            judged[which], unboosted[which], _ = self.judge.judged(beams, ended, few)
        return judged, unboosted

    def _can_be_kept(self, totals: Floats, is_open: Bools) -> Bools:
        """Which candidates may be among the best, whatever those that are open will be."""
        known, width = totals[~is_open], self.options.beam_width
        if not len(known):
            return np.ones(len(totals), bool)
        least = known.max() + self.options.beam_prune_logp
        if len(known) > width:
            least = max(least, np.partition(known, len(known) - width)[len(known) - width])
        return totals >= least

    def _chosen(
        self, merged: Merged, logits: Floats, plain: Floats | None, judged: Floats, unboosted: Floats
    ) -> tuple[Ints, Floats, Floats]:
        """The candidates to keep, best first, of equals the one that came first; their logits and plain logits.

        With hotwords, those that a search without hotwords keeps are added, with its logits of them.
        """
        width, below = self.options.beam_width, self.options.beam_prune_logp
        chosen = largest(logits + judged, merged.first, width, below)
        if plain is None:
            logits = logits.take(chosen)
            return chosen, logits, logits
        kept = largest(plain + unboosted, merged.first, width, below)
        is_new, is_kept = np.zeros((2, len(logits)), bool)
        is_new[kept] = is_kept[kept] = True
        is_new[chosen] = False
        chosen = np.concatenate([chosen, kept[is_new.take(kept)]])
        return chosen, logits.take(chosen), np.where(is_kept.take(chosen), plain.take(chosen), -np.inf)

    def _write(
        self, grown: Beams, frame: int, token: Ints, probability: Floats, ended: Ended | None, some: Candidates
    ) -> None:
        """Note in the chosen candidates, still as their parents were, which token each emits."""
        numbers, scores, table = grown.numbers, grown.scores, self.table
        numbers[LAST] = token
        lasting = (some.stays & (token != table.blank)).nonzero()[0]
        if len(lasting):
            numbers[END, lasting] = frame + 1
            scores[EMITTED, lasting] += probability.take(lasting)
        which = (~some.stays).nonzero()[0]
        if not len(which):
            return
        moved, some, token = grown.taken(which), some.taken(which), token.take(which)
        finished = (moved.numbers[TOKEN] != NO_TOKEN).nonzero()[0]
        moved.numbers[PATH, finished] = self.tree.push(moved, finished)
        if ended is not None:
            self._break(moved, ended, some)
        values, hot = moved.numbers, self.judge.hot
        if self.judge.prefixes is not None:
            values[PREFIX] = self.judge.prefixes.reached(values[PREFIX], some.columns)
        if hot is not None:
            values[HOT] = hot.reached(values[HOT], some.columns)
        values[BEGINS] = some.breaks | (values[LENGTH] == 0)
        values[PART] *= table.factors.take(token)
        values[PART] += table.terms.take(token)
        values[LENGTH] += table.lengths.take(token)
        values[NEXT] = np.where(values[LENGTH] == 0, values[CONTEXT], OPEN)
        values[TOKEN], values[FIRST], values[END] = self._shown.take(token), frame, frame + 1
        moved.scores[EMITTED] = probability.take(which)
        numbers[:, which], scores[:, which] = values, moved.scores

    def _break(self, moved: Beams, ended: Ended, some: Candidates) -> None:
        """Note in candidates which of them end a word."""
        broken = some.breaks.nonzero()[0]
        if not len(broken):
            return
        numbers, scores, before = moved.numbers, moved.scores, some.parents.take(broken)
        rows = (TEXT, ended.text), (TAIL, ended.tail), (CONTEXT, ended.context), (HOT, ended.hot)
        for row, values in rows:
            numbers[row, broken] = values.take(before)
        numbers[PART, broken] = numbers[LENGTH, broken] = 0
        numbers[PREFIX, broken] = START
        scores[MODEL, broken], scores[HOTWORDS, broken] = ended.model.take(before), ended.hotwords.take(before)

    def _without_history(self, beams: Beams) -> Beams:
        """Without those beams that differ from a better one only in words that matter no more."""
        numbers = beams.numbers
        plain = keys = numbers[TAIL] * TEXTS + numbers[PART] + numbers[LAST] * TOKENS
        ordered = np.sort(plain)
        if not (ordered[1:] == ordered[:-1]).any():
            return beams
        if self.judge.hot is not None:
            keys = keys + self.judge.hot.history[numbers[HOT]]
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
