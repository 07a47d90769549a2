"""One beam: greedy decoding and multinomial sampling, each row of an utterance on its own."""

from functools import cached_property

import numpy as np

from ..errors import ArgumentError
from .decoder import Ids, Logits
from .results import Hypothesis
from .scores import normalizer
from .search import Histories, OnTokens, Rules, refuse_nan


class RowSearch:
    """Every row takes the most probable token, or a drawn one. Sampling gives an utterance as many rows as sequences.

    With a seed every utterance draws from the same sequence of random numbers, so that it does not matter which others
    stand beside it in the batch.
    """

    def __init__(self, prompt: Ids, rules: Rules, on_tokens: OnTokens | None) -> None:
        self._rules, self._on_tokens = rules, on_tokens
        self._batch, self._rows = len(prompt), rules.options.num_return_sequences
        self._histories = Histories(np.repeat(prompt, self._rows, axis=0), rules.lengths)
        self._counts = np.zeros(self._batch * self._rows, np.int64)  # tokens of each row, its end token included
        self._live = np.ones(self._batch * self._rows, bool)
        self._ends = np.array(rules.options.ends, np.int64)
        self._utterances = np.repeat(np.arange(self._batch), self._rows)

    def advance(self, logits: Logits) -> tuple[Ids, Ids] | None:
        """`logits` (batch, rows, vocabulary) -> tokens and parents (batch, rows), or None."""
        is_first = self._histories.length == self._histories.prompt
        if logits.shape[1] != self._rows:
            logits = np.repeat(logits, self._rows, axis=1)
        scores = logits.reshape(len(self._live), -1)
        if self._rules.filters.acts(self._histories.length):
            scores = scores.copy()
            self._rules.filters(self._histories.tokens, scores, self._utterances)
        tokens, logprobs = self._sample(scores) if self._rules.options.do_sample else self._best(scores)
        tokens = np.where(self._live, tokens, self._rules.feed)
        self._histories.append(tokens, logprobs)
        self._counts += self._live
        self._tell(tokens)
        self._live &= ~(tokens[:, None] == self._ends).any(axis=-1)
        self._live &= ~self._rules.hooks.stopped(self._histories.tokens, self._utterances)
        if not self._live.any() or self._histories.length == self._rules.lengths.maximum:
            return None
        own = np.zeros(self._rows, np.int64) if is_first else np.arange(self._rows)
        return tokens.reshape(self._batch, -1), np.tile(own, (self._batch, 1))

    def results(self) -> list[list[Hypothesis]]:
        """The hypotheses of each utterance; those of samples in the order of the rows."""
        hypotheses = [self._hypothesis(row) for row in range(len(self._live))]
        return [hypotheses[i : i + self._rows] for i in range(0, len(hypotheses), self._rows)]

    def _hypothesis(self, row: int) -> Hypothesis:
        tokens, logprobs = self._histories.row(row, int(self._counts[row]))
        score = sum(logprobs) / len(tokens) ** self._rules.options.length_penalty
        return Hypothesis(tokens, score, logprobs)

    @cached_property
    def _generators(self) -> "list[np.random.Generator]":
        """A source of chance for each row: with a seed the same for each utterance.

        Only sampling needs it: numpy imports the module when it is first used.
        """
        count, seed = len(self._live), self._rules.options.seed
        if seed is None:
            return [
                np.random.default_rng(row) for row in np.random.SeedSequence(self._rules.hooks.entropy).spawn(count)
            ]
        streams = np.random.SeedSequence(seed).spawn(self._rows)
        return [np.random.default_rng(streams[row % self._rows]) for row in range(count)]

    def _best(self, scores: Logits) -> tuple[Ids, Logits]:
        """The most probable token of each row, of equals the lowest id, and its log-probability."""
        tokens = scores.argmax(axis=-1)
        chosen = scores[np.arange(len(scores)), tokens]
        refuse_nan(chosen[self._live])
        if self._rules.hooks.look is not None:
            self._rules.hooks.look(scores, self._utterances)
        return tokens, normalizer(scores).of(chosen)

    def _sample(self, scores: Logits) -> tuple[Ids, Logits]:
        tokens, logprobs = np.zeros(len(scores), np.int64), np.zeros(len(scores), np.float32)
        look = self._rules.hooks.look
        left = None if look is None else np.full_like(scores, -np.inf)
        for row in np.flatnonzero(self._live):
            refuse_nan(scores[row].max())
            candidates = self._rules.warpers(scores[row])
            if not len(candidates.ids):
                raise ArgumentError(f"the options leave no token to draw at position {self._histories.length}")
            (index,) = self._rules.draw(candidates.scores.astype(np.float64), 1, self._generators[row])
            tokens[row], logprobs[row] = candidates.ids[index], candidates.logprobs()[index]
            if left is not None:
                left[row, candidates.ids] = candidates.scores
        if look is not None and left is not None:
            look(left, self._utterances)
        return tokens, logprobs

    def _tell(self, tokens: Ids) -> None:
        """The first sequence of an utterance is the one that is streamed."""
        if self._on_tokens is not None:
            for utterance, row in enumerate(range(0, len(tokens), self._rows)):
                if self._live[row]:
                    self._on_tokens(utterance, [int(tokens[row])])
