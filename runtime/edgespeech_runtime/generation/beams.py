"""Several beams: beam search and beam sampling, one utterance on its own.

The arithmetic is that of transformers 5.23, in float32, so that the same hypotheses win: a beam that has reached its
end, and a slot that no hypothesis has filled, carry the score -1e9 rather than being absent.
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError
from .decoder import Ids, Logits
from .results import Hypothesis
from .scores import Normalizer, log_softmax, normalizer, top_of_rows
from .search import Histories, OnTokens, Rules, refuse_nan

NEVER = np.float32(-1e9)


class Candidates(NamedTuple):
    """Continuations (count,), the best first, or in the order they were drawn in.

    `totals` are log-probabilities of whole sequences as filtered, `logprobs` those of the tokens alone.
    """

    parents: Ids
    tokens: Ids
    totals: Logits
    logprobs: Logits

    def take(self, indices: Ids) -> "Candidates":
        """Those at `indices`."""
        return Candidates(self.parents[indices], self.tokens[indices], self.totals[indices], self.logprobs[indices])

    def first(self, count: int) -> "Candidates":
        """The first `count`."""
        return Candidates(self.parents[:count], self.tokens[:count], self.totals[:count], self.logprobs[:count])


class Slot(NamedTuple):
    """A place among the finished hypotheses; not `is_filled`: nothing has come to stand there."""

    score: np.float32
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    is_filled: bool
    parents: tuple[int, ...] = ()


class Beams:
    """The beams of one utterance, the finished hypotheses, and whether any beam can still improve on them."""

    def __init__(self, prompt: Ids, rules: Rules, utterance: int) -> None:
        """`prompt` (length,)."""
        options = rules.options
        self._utterance = utterance
        self.rules, self.beams = rules, options.num_beams
        self.is_done = False
        self._histories = Histories(np.tile(prompt, (self.beams, 1)), rules.lengths)
        self._totals = np.full(self.beams, NEVER, np.float32)
        self._totals[0] = 0
        self._slots = [Slot(NEVER, (), (), False)] * self.beams
        self._ends = np.array(options.ends, np.int64)
        self._kept = max(2, 1 + len(options.ends)) * self.beams
        self._told = 0  # tokens that were given as certain

    @cached_property
    def _generator(self) -> "np.random.Generator":
        """What is drawn from. Only sampling needs it: numpy imports the module when it is first used."""
        seed = self.rules.options.seed
        if seed is not None:
            return np.random.default_rng(seed)
        return np.random.default_rng(np.random.SeedSequence(self.rules.hooks.entropy, spawn_key=(self._utterance,)))

    def advance(self, logits: Logits) -> tuple[Ids, Ids]:
        """`logits` (rows, vocabulary), one row before the first token -> tokens and parents (beams,)."""
        candidates = self._draw(logits) if self.rules.options.do_sample else self._best(logits)
        length = self._histories.length + 1
        hits = (candidates.tokens[:, None] == self._ends).any(axis=-1)
        if self.rules.hooks.stop is not None:
            grown = np.concatenate([self._histories.tokens[candidates.parents], candidates.tokens[:, None]], axis=1)
            hits |= self.rules.hooks.stopped(grown, self._same(len(grown)))
        if length >= self.rules.lengths.maximum:
            hits[:] = True
        has_ended = bool(hits.any())
        if has_ended:
            self._finish(candidates, hits)
            # beams that have ended stay behind all others
            candidates = candidates._replace(totals=candidates.totals + hits.astype(np.float32) * NEVER)
        if has_ended or self.rules.options.do_sample:
            running = candidates.take(np.argsort(-candidates.totals, kind="stable")[: self.beams])
        else:  # in order, as they are
            running = candidates.first(self.beams)
        self._totals = running.totals
        parents = np.zeros_like(running.parents) if len(logits) == 1 else running.parents
        self._histories.append(running.tokens, running.logprobs, running.parents)
        self.is_done = (has_ended and bool(hits.all())) or not self._can_improve()
        return running.tokens, parents

    def results(self) -> list[Hypothesis]:
        """The best finished hypotheses, the best first."""
        best = self._slots[: self.rules.options.num_return_sequences]
        return [Hypothesis(slot.tokens, float(slot.score), slot.logprobs, slot.parents) for slot in best]

    def certain(self) -> list[int]:
        """Tokens that have become certain since the last call: what all hypotheses that may win have in common."""
        best = self._slots[0]
        tokens = list(best.tokens[self._told :]) if self.is_done else self._common(best)
        self._told += len(tokens)
        return tokens

    def _common(self, best: Slot) -> list[int]:
        rows = self._histories.generated[:, self._told :]
        if best.is_filled:
            rows = rows[self._bounds() >= best.score]
            finished = np.array(best.tokens[self._told :], np.int64)
            shared = min(len(finished), rows.shape[1])
            is_common = (rows[:, :shared] == finished[:shared]).all(axis=0)
            reference = finished
        else:
            is_common, reference = (rows == rows[0]).all(axis=0), rows[0]
        count = len(is_common) if is_common.all() else int(is_common.argmin())
        return [int(token) for token in reference[:count]]

    def _bounds(self) -> Logits:
        """The best score (beams,) that a hypothesis from each beam can reach, with room for rounding."""
        if not self.rules.filters.only_lower:
            return np.full(self.beams, np.inf, np.float32)
        generated = self._histories.length - self._histories.prompt
        most = self.rules.lengths.maximum - self._histories.prompt
        near, far = self._over_length(self._totals, generated + 1), self._over_length(self._totals, most)
        return np.maximum(near, far) + np.float32(1e-5)

    def _over_length(self, totals: Logits, count: int) -> Logits:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return totals / np.float32(np.float64(count) ** self.rules.options.length_penalty)

    def _best(self, logits: Logits) -> Candidates:
        """The best continuations of all beams."""
        scores, scored = self._filtered(logits)
        self._show(log_softmax(scores) if scored is None and self.rules.hooks.look is not None else scores)
        if scored is None:  # logits as they came
            normalized = normalizer(scores)
            refuse_nan(normalized.peak)
        count = min(self._kept, scores.shape[1])
        ids = top_of_rows(scores, count)  # (rows, count)
        values = scores[np.arange(len(scores))[:, None], ids]
        logprobs = (scored or normalized).of(values)
        values = values if scored is not None else logprobs
        if len(scores) == 1:  # all beams start alike
            ids = np.repeat(ids, self.beams, axis=0)
            values, logprobs = np.repeat(values, self.beams, axis=0), np.repeat(logprobs, self.beams, axis=0)
        parents = np.arange(self.beams * count) // count
        totals = (values + self._totals[:, None]).ravel()
        order = np.lexsort((ids.ravel(), parents, -totals))[: self._kept]
        return Candidates(parents, ids.ravel(), totals, logprobs.ravel()).take(order)

    def _draw(self, logits: Logits) -> Candidates:
        """Continuations of all beams drawn by the probability of the whole sequences, without putting back."""
        scores, _ = self._filtered(logits, is_copy=True)
        refuse_nan(scores.max(axis=-1))
        warped = [self.rules.warpers(row) for row in scores]
        if self.rules.hooks.look is not None:
            left = np.full_like(scores, -np.inf)
            for target, row in zip(left, warped, strict=True):
                target[row.ids] = row.scores
            self._show(left)
        if not all(len(row.ids) for row in warped):
            raise ArgumentError(f"the options leave no token to draw at position {self._histories.length}")
        if len(warped) == 1:
            warped = warped * self.beams
        parents = np.repeat(np.arange(self.beams), [len(row.ids) for row in warped])
        totals = np.concatenate([row.scores + total for row, total in zip(warped, self._totals, strict=True)])
        ids = np.concatenate([row.ids for row in warped])
        logprobs = np.concatenate([row.logprobs() for row in warped])
        count = min(self._kept, len(ids))
        drawn = self.rules.draw(totals.astype(np.float64), count, self._generator)
        return Candidates(parents, ids, totals, logprobs).take(drawn)

    def _filtered(self, logits: Logits, is_copy: bool = False) -> tuple[Logits, Normalizer | None]:
        """Log-probabilities after the filters and what normalises them again; without any filter the logits as they
        are and None, unless `is_copy`.
        """
        filters, length = self.rules.filters, self._histories.length
        if not filters.acts(length):
            return (log_softmax(logits), None) if is_copy else (logits, None)
        scores = log_softmax(logits)
        filters(self._histories.tokens[: len(scores)], scores, self._same(len(scores)))
        if is_copy:
            return scores, None
        normalized = normalizer(scores)
        refuse_nan(normalized.peak)
        return scores, normalized

    def _same(self, rows: int) -> Ids:
        """The utterance of so many rows."""
        return np.full(rows, self._utterance, np.int64)

    def _show(self, scores: Logits) -> None:
        if self.rules.hooks.look is not None:
            self.rules.hooks.look(scores, self._same(len(scores)))

    def _finish(self, candidates: Candidates, hits: npt.NDArray[np.bool_]) -> None:
        """Let those of the best continuations that have ended in among the finished hypotheses."""
        if self.rules.options.early_stopping is True and all(slot.is_filled for slot in self._slots):
            return
        count = self._histories.length + 1 - self._histories.prompt
        scores = self._over_length(candidates.totals, count)
        slots = list(self._slots)
        for index in np.flatnonzero(hits[: self.beams]):
            tokens, logprobs = self._histories.row(int(candidates.parents[index]))
            tokens += (int(candidates.tokens[index]),)
            logprobs += (float(candidates.logprobs[index]),)
            parents = (*self._histories.parents(int(candidates.parents[index])), int(candidates.parents[index]))
            slots.append(Slot(scores[index], tokens, logprobs, True, parents))
        if len(slots) > self.beams:
            self._slots = sorted(slots, key=lambda slot: (-slot.score, not slot.is_filled))[: self.beams]

    def _can_improve(self) -> bool:
        """Whether the best running beam may yet enter the finished hypotheses (as `early_stopping` estimates it)."""
        options, length = self.rules.options, self._histories.length
        is_full = all(slot.is_filled for slot in self._slots)
        if options.early_stopping is True and is_full:
            return False
        if options.early_stopping == "never" and options.length_penalty > 0:
            length = self.rules.lengths.maximum
        best = self._over_length(self._totals[:1], length - self._histories.prompt)[0]
        worst = self._slots[-1].score if is_full else NEVER
        return bool(best > worst)


class BeamSearch:
    """The beams of all utterances of a batch; those of one never see another's."""

    def __init__(self, prompt: Ids, rules: Rules, on_tokens: OnTokens | None) -> None:
        self._utterances = [Beams(row, rules, index) for index, row in enumerate(prompt)]
        self._on_tokens = on_tokens
        self._feed = rules.feed

    def advance(self, logits: Logits) -> tuple[Ids, Ids] | None:
        """`logits` (batch, rows, vocabulary) -> tokens and parents (batch, beams), or None."""
        shape = (len(self._utterances), self._utterances[0].beams)
        tokens, parents = np.full(shape, self._feed, np.int64), np.zeros(shape, np.int64)
        for index, (utterance, rows) in enumerate(zip(self._utterances, logits, strict=True)):
            if not utterance.is_done:
                tokens[index], parents[index] = utterance.advance(rows)
                if self._on_tokens is not None and (certain := utterance.certain()):
                    self._on_tokens(index, certain)
        return None if all(utterance.is_done for utterance in self._utterances) else (tokens, parents)

    def results(self) -> list[list[Hypothesis]]:
        """The hypotheses of each utterance, the best first."""
        return [utterance.results() for utterance in self._utterances]
