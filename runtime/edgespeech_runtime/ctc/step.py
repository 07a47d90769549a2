"""One frame of a beam search: what all beams become with all tokens, merged, judged and cut down to the best.

Everything is arrays over beams or candidates; what a token makes of a text stands in a table, so that a frame is little
more than looking it up. Frames take as many calls of numpy whatever the number of beams: these are what it costs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .alphabet import TokenTable
from .beams import HOT, JUDGED, LAST, LOGITS, NEXT, OPEN, PART, PLAIN, UNBOOSTED, Beams, Bools, Floats, Ints
from .hotwords import HotwordAutomaton
from .judging import TEXTS, TOKENS, Costs, Ended, Judge
from .merging import Merged, apart, largest, merge
from .paths import Lineage, PathTree
from .texts import MIXED, SHORT, Growth, TextTable
from .trials import Frame, Trials


@dataclass(frozen=True)
class BeamOptions:
    """How wide to search; the defaults are pyctcdecode's.

    `beam_width` beams are kept; those `beam_prune_logp` below the best are dropped. Tokens below `token_min_logp` are
    not tried, but for a frame's best. With `prune_history`, of beams that differ only in words too old for the language
    model to matter, the best is kept: right where only the best text is asked for.

    With `keep_unboosted`, a search without hotwords runs along with that with hotwords, over the same beams, and where
    the best text has no hotword, it is that of the former: words that are not said change nothing. Letters that go on
    with a hotword are then tried down to `hotword_min_logp`. pyctcdecode does neither.
    """

    beam_width: int = 100
    beam_prune_logp: float = -10.0
    token_min_logp: float = -5.0
    prune_history: bool = False
    keep_unboosted: bool = False
    hotword_min_logp: float = -9.0


class Grid(NamedTuple):
    """What tokens make of beams, `[tokens, beams]`: keys, cells of `TextTable.children`, what is added to logits.

    `breaks`: where a word ends; `ended`: what beams are then. None where none does.
    """

    keys: Ints
    cells: Ints
    judged: Floats | None
    unboosted: Floats | None
    breaks: Bools | None
    ended: Ended | None


class FrameStep:
    """A search at work on some frames, in which tokens other than `columns` do not occur.

    `nodes`, `last`, `logits`, `plain`: for each beam, best first, the row of its text, its last token, its logits, and
    those in a search without hotwords. `asks_for_word`: the last piece that was tried ends its own word ("▁⁇▁"), so
    that the next one, in the order of tokens and beams, begins another. That is a matter of the search and not of a
    beam, as in pyctcdecode.
    """

    def __init__(
        self,
        table: TokenTable,
        options: BeamOptions,
        tokens: Ints,
        judge: Judge,
        tree: PathTree,
        beams: Beams,
        asks_for_word: bool = False,
    ) -> None:
        """`tokens` are those of the columns, as `columns` gives them."""
        self.table, self.options, self.judge = table, options, judge
        self.guards = judge.hot is not None and options.keep_unboosted
        self.asks_for_word = asks_for_word
        self._forces = asks_for_word or bool(table.closes[tokens].any())
        once = len(set(tokens.tolist()))
        ends = table.breaks.take(tokens)
        ends[once:] = True
        self._column = np.zeros(len(table.texts), np.int64)
        self._column[tokens[:once]] = np.arange(once)
        self._forced = self._column.copy()
        self.occurs = np.zeros(len(table.texts), bool)  # which tokens have a column
        self.occurs[tokens] = True
        self._forced[tokens[once:]] = np.arange(once, len(tokens))
        self.texts = TextTable(table, tokens, ends, judge)
        self.nodes = self.texts.begin(beams, tree)
        self.last = beams.numbers[LAST].copy()
        self.logits, self.plain = beams.scores[LOGITS].copy(), beams.scores[PLAIN].copy()
        self.lineage = Lineage(table, beams, tree)
        self._same: int | None = None  # the token that all beams end in, where that is known

    @staticmethod
    def columns(table: TokenTable, tokens: Ints, asks_for_word: bool) -> Ints:
        """The tokens of columns: the blank, all others, and these once more where any may be made to begin a word."""
        tokens = tokens[tokens != table.blank]
        forced = tokens[~table.breaks[tokens]] if asks_for_word or table.closes[tokens].any() else tokens[:0]
        return np.concatenate([[table.blank], tokens, forced])

    def trials(self, tokens: Ints, logp: Floats, counts: Ints) -> Trials:
        """The tokens of some frames, laid out; `counts` by frame."""
        return Trials(self.table, self._column, self._forced, tokens, logp, counts)

    def repeat(self, frame: int, token: int, logp: float) -> bool:
        """Take a frame with one token, if all beams end in it: then all texts stay. Whether that is so."""
        if self._same is None and np.count_nonzero(self.last == token) == len(self.last):
            self._same = token
        if token != self._same:
            return False
        self.logits += logp
        if self.guards:
            self.plain += logp
        if token != self.table.blank:
            self.lineage.repeat(frame, token, logp, self.nodes)
        return True

    def weak(self, trials: Trials, index: int) -> Frame | None:
        """Of the unlikely letters that a frame has, those that go on with a hotword of some beam; None without any."""
        hot = self.judge.hot
        if hot is None or not trials.counts[index]:
            return None
        frame = trials.frame(index)
        goes = self._goes_on(hot, frame.tokens, frame.columns, frame.logp)
        kept = np.flatnonzero(goes.any(axis=1))
        return frame.taken(kept) if len(kept) else None

    def _goes_on(self, hot: HotwordAutomaton, tokens: Ints, columns: Ints, logp: Floats) -> Bools:
        """Where letters, `[tokens, beams]`, go on with a hotword of which one is written, and are not too unlikely."""
        states = self.texts.hot(self.nodes)
        scores = self.logits + self.texts.scores[JUDGED].take(self.nodes)
        scores -= scores.item(scores.argmax())
        np.copyto(scores, -np.inf, where=hot.pending.take(states) <= 0)
        goes = hot.worth(states, columns) > 0
        np.copyto(goes, True, where=self.last == tokens)
        goes &= scores + logp >= self.options.beam_prune_logp
        return goes

    def advance(self, frame: int, trials: Trials, index: int, weak: Frame | None = None) -> None:
        """Take the frame `index` of some trials, which is the frame `frame` of the search, with some weak tokens."""
        tried = trials.frame(index)
        if weak is not None:
            tried = tried.joined(weak)
        tokens, logp = tried.tokens, tried.logp
        texts = Beams(self.texts.numbers.take(self.nodes, axis=1), self.texts.scores.take(self.nodes, axis=1))
        grid = self._grid(texts, tried)
        merged = merge(grid.keys.ravel()) if self._may_merge(tried) else apart(len(self.nodes))
        logits = merged.sums((self.logits + logp).ravel())
        plain = logits
        if self.guards:
            grown = self.plain + logp
            if tried.weak:
                grown[-tried.weak :] = -np.inf
            plain = merged.sums(grown.ravel())
        added = self._settled(grid, texts, merged, logits, plain)
        totals = logits if added is None else logits + added[0]
        chosen = largest(totals, merged.first, self.options.beam_width, self.options.beam_prune_logp)
        if self.guards and added is not None:
            chosen = self._guarded(chosen, plain, plain + added[1], merged.first)
        self.logits = logits.take(chosen)
        costs = None if added is None else (added[0].take(chosen), added[1].take(chosen))
        self._take(frame, grid, texts, costs, merged.last.take(chosen), tokens, logp)

    def _may_merge(self, tried: Frame) -> bool:
        """Whether two beams may become one: not where all write the same letter behind another one, which all have."""
        return self._same is None or len(tried.tokens) > 1 or tried.ends is not None or self._forces

    def _grid(self, texts: Beams, tried: Frame) -> Grid:
        """What the tokens of a frame make of the texts of all beams."""
        numbers, part = texts.numbers, texts.numbers[PART]
        stays = self.last == tried.tokens
        if tried.blank >= 0:
            stays[tried.blank] = True
        base = self.nodes * self.texts.width
        cells = base + tried.columns
        keys = part * tried.factors
        keys += tried.letters
        judged = unboosted = breaks = ended = None
        if not self.judge.is_silent:
            judged, unboosted = self.judge.grid(texts, tried.columns, stays, self.guards)
        if tried.weak and judged is not None and self.judge.hot is not None:
            weak = slice(-tried.weak, None)
            goes = self._goes_on(self.judge.hot, tried.tokens[weak], tried.columns[weak], tried.logp[weak])
            np.copyto(judged[weak], -np.inf, where=~goes)
        np.copyto(keys, part, where=stays)
        keys += numbers[MIXED]
        rows = tried.ends
        if rows is not None or self._forces:
            breaks = np.zeros(stays.shape, bool)
            if rows is not None:
                breaks[rows] = ~stays[rows]
            if self._forces:
                self._force(breaks, cells, stays, tried)
            ended = self.judge.ended(texts)
            if self.judge.fusion is not None and self.judge.fusion.weights.alpha < 0:  # a word may add anything
                self._ask(texts, ended, np.arange(len(self.nodes)))
            mixed = ended.text * TEXTS
            for row in breaks.any(axis=1).nonzero()[0].tolist():
                where, column = breaks[row], tried.columns[row]
                np.copyto(keys[row], mixed + tried.letters[row], where=where)
                if judged is not None and unboosted is not None:
                    costs = self.judge.ending(ended, slice(None), column)
                    np.copyto(judged[row], costs[0], where=where)
                    np.copyto(unboosted[row], costs[1], where=where)
        np.copyto(cells, base, where=stays)  # STAYS is the first column
        keys += tried.terms
        return Grid(keys, cells, judged, unboosted, breaks, ended)

    def _take(
        self,
        frame: int,
        grid: Grid,
        texts: Beams,
        costs: Costs | None,
        origins: Ints,
        tokens: Ints,
        logp: Floats,
    ) -> None:
        """The beams are now those of some cells of the grid, `origins`, with what is added to their logits."""
        width = len(self.nodes)
        cells = grid.cells.ravel().take(origins)
        nodes = self.texts.children.take(cells)
        rows = origins // width
        new = (nodes < 0).nonzero()[0]
        if len(new):
            parents = origins.take(new) - rows.take(new) * width
            zeros = np.zeros(len(new))
            judged, unboosted = (zeros, zeros) if costs is None else (costs[0].take(new), costs[1].take(new))
            ended = None if grid.ended is None else grid.ended.taken(parents)
            nodes[new] = self.texts.grow(Growth(cells.take(new), texts.taken(parents), judged, unboosted, ended))
        self.nodes, self.last = nodes, tokens[:, 0].take(rows)
        self._same = tokens.item(0) if len(tokens) == 1 else None
        if self.options.prune_history:
            kept = self._without_history()
            if kept is not None:
                origins, rows = origins.take(kept), rows.take(kept)
        self.lineage.note(frame, origins, rows, width, tokens, logp, self.nodes)

    def _guarded(self, chosen: Ints, plain: Floats, totals: Floats, first: Ints) -> Ints:
        """The chosen candidates, and those that a search without hotwords keeps by their `totals`."""
        width, below = self.options.beam_width, self.options.beam_prune_logp
        is_kept = totals >= totals.item(totals.argmax()) + below
        if np.count_nonzero(is_kept) > width:
            is_kept.fill(False)
            is_kept[largest(totals, first, width, below)] = True
        self.plain = np.full(len(plain), -np.inf)
        np.copyto(self.plain, plain, where=is_kept)
        is_kept[chosen] = False
        more = is_kept.nonzero()[0]
        if len(more):
            chosen = np.concatenate([chosen, more.take(np.lexsort((first.take(more), -totals.take(more))))])
        self.plain = self.plain.take(chosen)
        return chosen

    def _settled(self, grid: Grid, texts: Beams, merged: Merged, logits: Floats, plain: Floats) -> Costs | None:
        """What is added to candidates' logits, with all words scored that may matter; -inf where they do not."""
        if grid.judged is None or grid.unboosted is None:
            return None
        judged = grid.judged.ravel().take(merged.last)
        unboosted = grid.unboosted.ravel().take(merged.last) if self.guards else judged
        if grid.ended is None or grid.breaks is None or self.judge.fusion is None:
            return judged, unboosted
        are_open = grid.ended.context == OPEN
        if not np.count_nonzero(are_open):
            return judged, unboosted
        is_open = (grid.breaks & are_open).ravel().take(merged.last)
        if not np.count_nonzero(is_open):
            return judged, unboosted
        needed = self._can_be_kept(logits + judged, is_open)
        if self.guards:
            needed |= self._can_be_kept(plain + unboosted, is_open)
        which = (needed & is_open).nonzero()[0]
        judged[is_open] = unboosted[is_open] = -np.inf
        if len(which):
            origins = merged.last.take(which)
            rows = origins // len(self.nodes)
            beams = origins - rows * len(self.nodes)
            self._ask(texts, grid.ended, np.unique(beams))
            width = self.texts.width
            columns = grid.cells.ravel().take(origins) % width
            judged[which], without = self.judge.ending(grid.ended, beams, columns)
            if self.guards:
                unboosted[which] = without
        return judged, unboosted

    def _ask(self, texts: Beams, ended: Ended, beams: Ints) -> None:
        """Score the words that some beams end, and note it for later frames."""
        self.judge.settle(texts, ended, beams, lambda index: self.texts.word(int(self.nodes[index])))
        self.texts.numbers[NEXT, self.nodes.take(beams)] = ended.context.take(beams)

    def _can_be_kept(self, totals: Floats, is_open: Bools) -> Bools:
        """Which candidates may be among the best, whatever those that are open will be."""
        certain, width = totals[~is_open], self.options.beam_width
        if not len(certain):
            return np.ones(len(totals), bool)
        least = certain.max() + self.options.beam_prune_logp
        if len(certain) > width:
            least = max(least, np.partition(certain, len(certain) - width)[len(certain) - width])
        return totals >= least

    def _force(self, breaks: Bools, cells: Ints, stays: Bools, tried: Frame) -> None:
        """Let those begin a word that a piece before asked for; tokens in the order of a set of their ids, as there."""
        tokens = tried.tokens[:, 0].tolist()
        best = tokens[int(tried.logp.argmax())]
        rows = {token: row for row, token in enumerate(tokens)}
        for token in set(tokens) | {best}:  # in CPython, how a set is made decides its order
            row = rows[token]
            moving = (~stays[row]).nonzero()[0]
            if len(moving):
                if self.asks_for_word:
                    breaks[row, moving[0]] = True
                    cells[row, moving[0]] += tried.forced[row, 0] - tried.columns[row, 0]
                self.asks_for_word = bool(self.table.closes[token])

    def _without_history(self) -> Ints | None:
        """Leave out beams that differ from a better one only in words that matter no more; which stay, None for all."""
        plain = keys = self.texts.numbers[SHORT].take(self.nodes) + self.last * TOKENS
        ordered = np.sort(plain)
        if not np.count_nonzero(ordered[1:] == ordered[:-1]):
            return None
        if self.judge.hot is not None:
            keys = keys + self.judge.hot.history[self.texts.numbers[HOT].take(self.nodes)]
        kept = np.unique(keys, return_index=True)[1]
        if self.guards:
            scored = np.flatnonzero(self.plain > -np.inf)
            totals = self.plain[scored] + self.texts.scores[UNBOOSTED].take(self.nodes[scored])
            scored = scored[(-totals).argsort(kind="stable")]
            scored = scored[np.unique(plain[scored], return_index=True)[1]]
            still = np.full(len(keys), -np.inf)
            still[scored] = self.plain[scored]
            self.plain = still
            kept = np.union1d(kept, scored)
        kept.sort()
        self.nodes, self.last, self.logits = self.nodes.take(kept), self.last.take(kept), self.logits.take(kept)
        if self.guards:
            self.plain = self.plain.take(kept)
        return kept
