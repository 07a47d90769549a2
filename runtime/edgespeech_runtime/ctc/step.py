"""One frame of a beam search: what all beams become with all tokens, merged, judged and cut down to the best.

Everything is arrays over beams or candidates; Python loops over new words and new prefixes only.
"""

from dataclasses import dataclass

import numpy as np

from .alphabet import TokenTable
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
from .judging import TEXTS, TOKENS, Candidates, Ended, Judge, Judgement
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
        repeats = numbers[LAST] == tokens[:, None]
        repeats[tokens == table.blank] = False
        cells = repeats.ravel().nonzero()[0]  # beams whose last token comes again
        stays = repeats.ravel()
        repeats[tokens == table.blank] = True
        breaks = self._breaks(tokens, logp, repeats)
        ended = None if breaks is None else self.judge.ended(beams)

        texts = numbers[TEXT] * TEXTS
        grid = numbers[PART] * table.factors.take(tokens)[:, None]
        grid += texts
        keys = grid.ravel()
        if ended is not None and breaks is not None:
            broken = breaks.nonzero()[0]
            keys[broken] = ended.text.take(broken % width) * TEXTS
        grid += self._steps.take(tokens)[:, None]
        if len(cells):
            staying = cells % width
            keys[cells] = (texts + numbers[PART] + numbers[LAST] * TOKENS).take(staying)
        merged = merge(keys)
        rows, parents = np.divmod(merged.last, width)
        some = Candidates(
            parents,
            self._column.take(tokens).take(rows),
            stays.take(merged.last),
            None if breaks is None else breaks.take(merged.last),
        )
        logits = merged.sums((scores[LOGITS] + logp[:, None]).ravel())
        plain = merged.sums((scores[PLAIN] + logp[:, None]).ravel()) if self.guards else None
        judgement = self._judged(beams, ended, some, logits, plain)
        chosen, logits, plain = self._chosen(merged, logits, plain, judgement.judged, judgement.unboosted)

        rows = rows.take(chosen)
        grown = beams.taken(parents.take(chosen))
        grown.scores[JUDGED], grown.scores[UNBOOSTED] = judgement.judged.take(chosen), judgement.unboosted.take(chosen)
        grown.scores[LOGITS], grown.scores[PLAIN] = logits, plain
        self._write(grown, frame, tokens.take(rows), np.exp(logp).take(rows), ended, some, judgement, chosen)
        return grown

    def _breaks(self, tokens: Ints, logp: Floats, stays: Bools) -> Bools | None:
        """Which candidates `[tokens * beams]` end a word; None where none does."""
        breaks = self.table.breaks.take(tokens)
        is_forced = self._closes or self.asks_for_word
        if not is_forced and not breaks.any():
            return None
        ending = breaks[:, None] & ~stays
        if is_forced:
            self._force(ending, stays, tokens, int(tokens[logp.argmax()]))
        return ending.ravel() if ending.any() else None

    def _force(self, breaks: Bools, stays: Bools, tokens: Ints, best: int) -> None:
        """Add to `breaks` those that a piece before asked for; tokens in the order of a set of their ids, as there."""
        closes = self.table.closes[tokens].tolist()
        rows = {token: row for row, token in enumerate(tokens.tolist())}
        for token in set(tokens.tolist()) | {best}:  # in CPython, how a set is made decides its order
            moving = (~stays[rows[token]]).nonzero()[0]
            if len(moving):
                breaks[rows[token], moving[0]] |= self.asks_for_word
                self.asks_for_word = closes[rows[token]]

    def _judged(
        self, beams: Beams, ended: Ended | None, some: Candidates, logits: Floats, plain: Floats | None
    ) -> Judgement:
        """What language model and hotwords add; -inf for candidates that cannot be kept."""
        judgement = self.judge.judge(beams, ended, some)
        if ended is None or judgement.is_open is None or not judgement.is_open.any():
            return judgement
        needed = self._can_be_kept(logits + judgement.judged, judgement.is_open)
        if plain is not None:
            needed |= self._can_be_kept(plain + judgement.unboosted, judgement.is_open)
        which = (needed & judgement.is_open).nonzero()[0]
        judged, unboosted = judgement.judged.copy(), judgement.unboosted.copy()
        judged[judgement.is_open] = unboosted[judgement.is_open] = -np.inf
        if len(which):
            few = some.taken(which)
            self.judge.settle(beams, ended, few.parents)
            settled = self.judge.judge(beams, ended, few)
            judged[which], unboosted[which] = settled.judged, settled.unboosted
        return judgement._replace(judged=judged, unboosted=unboosted)

    def _can_be_kept(self, totals: Floats, is_open: Bools) -> Bools:
        """Which candidates may be among the best, whatever those that are open will be."""
        certain, width = totals[~is_open], self.options.beam_width
        if not len(certain):
            return np.ones(len(totals), bool)
        least = certain.max() + self.options.beam_prune_logp
        if len(certain) > width:
            least = max(least, np.partition(certain, len(certain) - width)[len(certain) - width])
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
        self,
        grown: Beams,
        frame: int,
        token: Ints,
        probability: Floats,
        ended: Ended | None,
        some: Candidates,
        judgement: Judgement,
        chosen: Ints,
    ) -> None:
        """Note in the chosen candidates, still as their parents were, which token each emits."""
        numbers, scores, table = grown.numbers, grown.scores, self.table
        numbers[LAST], stays = token, some.stays.take(chosen)
        lasting = (stays & (token != table.blank)).nonzero()[0]
        if len(lasting):
            numbers[END, lasting] = frame + 1
            scores[EMITTED, lasting] += probability.take(lasting)
        which = (~stays).nonzero()[0]
        if not len(which):
            return
        moved, chosen, token = grown.taken(which), chosen.take(which), token.take(which)
        values = moved.numbers
        finished = (values[TOKEN] != NO_TOKEN).nonzero()[0]
        values[PATH, finished] = self.tree.push(moved, finished)
        values[BEGINS] = values[LENGTH] == 0
        if ended is not None and some.breaks is not None:
            self._break(moved, ended, some.parents.take(chosen), some.breaks.take(chosen).nonzero()[0])
        if self.judge.prefixes is not None and judgement.prefixes is not None:
            values[PREFIX] = self.judge.prefixes.reached(judgement.prefixes.take(chosen))
        if self.judge.hot is not None and judgement.hot is not None:
            values[HOT] = self.judge.hot.reached(judgement.hot.take(chosen))
        values[PART] *= table.factors.take(token)
        values[PART] += table.terms.take(token)
        values[LENGTH] += table.lengths.take(token)
        values[NEXT] = np.where(values[LENGTH] == 0, values[CONTEXT], OPEN)
        values[TOKEN], values[FIRST], values[END] = self._shown.take(token), frame, frame + 1
        moved.scores[EMITTED] = probability.take(which)
        numbers[:, which], scores[:, which] = values, moved.scores

    def _break(self, moved: Beams, ended: Ended, parents: Ints, broken: Ints) -> None:
        """Note in candidates that some of them end a word."""
        numbers, scores, before = moved.numbers, moved.scores, parents.take(broken)
        numbers[TEXT, broken], numbers[TAIL, broken] = ended.text.take(before), ended.tail.take(before)
        numbers[CONTEXT, broken] = ended.context.take(before)
        numbers[PART, broken] = numbers[LENGTH, broken] = 0
        numbers[BEGINS, broken] = 1
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
            scored = np.flatnonzero(scores[PLAIN] > -np.inf)
            scored = scored[(-(scores[PLAIN, scored] + scores[UNBOOSTED, scored])).argsort(kind="stable")]
            scored = scored[np.unique(plain[scored], return_index=True)[1]]
            still = np.full(beams.width, -np.inf)
            still[scored] = scores[PLAIN, scored]
            scores[PLAIN] = still
            kept = np.union1d(kept, scored)
        kept.sort()
        return beams.taken(kept)
