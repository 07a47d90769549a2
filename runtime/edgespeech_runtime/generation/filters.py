"""Logit filters: what an option forbids, forces or reweighs before a token is chosen.

Each filter changes `scores` (rows, vocabulary) in place, knowing the tokens so far, `history` (rows, length) with the
prompt. With one beam the scores are logits, with several log-probabilities. Names, order and positions are those of
transformers 5.23. Filters for sampling only are in `warpers`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .decoder import Ids, Logits
from .hooks import NONE, Change, Hooks
from .limits import Lengths
from .options import GenerationOptions, as_tuple
from .scores import normalizer

_LARGEST = np.finfo(np.float32).max


class Filter(Protocol):
    """One rule."""

    def acts(self, length: int) -> bool:
        """Whether it changes anything after `length` tokens."""
        ...

    def __call__(self, history: Ids, scores: Logits) -> None:
        """Change `scores` in place."""
        ...


class _Always:
    def acts(self, length: int) -> bool:
        return True


class _SequenceBias(_Always):
    """Adds a bias to the last token of a sequence wherever the tokens before it stand at the end of the history."""

    def __init__(self, biases: Sequence[tuple[tuple[int, ...], float]]) -> None:
        singles = {word[0]: bias for word, bias in biases if len(word) == 1}
        self._singles = np.fromiter(singles, np.int64), np.fromiter(singles.values(), np.float32)
        self._groups: list[tuple[Ids, Ids, Logits]] = []
        for size in sorted({len(word) for word, _ in biases} - {1}):
            group = [(word, bias) for word, bias in biases if len(word) == size]
            words = np.array([word for word, _ in group], np.int64)
            self._groups.append((words[:, :-1], words[:, -1], np.array([bias for _, bias in group], np.float32)))

    def __call__(self, history: Ids, scores: Logits) -> None:
        """Biases that meet in one token are summed before they are added, as transformers rounds them."""
        longer = []  # rows, tokens and biases of the longer sequences
        for prefixes, tokens, biases in self._groups:
            size = prefixes.shape[1]
            if size <= history.shape[1]:
                rows, words = np.nonzero((history[:, None, -size:] == prefixes).all(axis=-1))
                longer.append((rows, tokens[words], biases[words]))
        ids, single = self._singles
        if not any(len(rows) for rows, _, _ in longer):
            scores[:, ids] += single
            return
        bias = np.zeros_like(scores)
        bias[:, ids] = single
        for rows, last, values in longer:
            np.add.at(bias, (rows, last), values)
        scores += bias


@dataclass(frozen=True)
class _RepetitionPenalty(_Always):
    """Makes tokens that stand in the history less likely (Keskar et al. 2019, "CTRL")."""

    penalty: float

    def __call__(self, history: Ids, scores: Logits) -> None:
        rows = np.arange(len(history))[:, None]
        repeated = scores[rows, history]
        scores[rows, history] = np.where(repeated < 0, repeated * self.penalty, repeated / self.penalty)


@dataclass(frozen=True)
class _NoRepeatNgram(_Always):
    """Forbids a token that would complete n tokens that stand in the history already."""

    size: int

    def __call__(self, history: Ids, scores: Logits) -> None:
        length = history.shape[1]
        if length < self.size:
            return
        matches = np.ones((len(history), length + 1 - self.size), bool)
        for back in range(1, self.size):  # the last tokens of the history against the inner tokens of each window
            inner = history[:, self.size - 1 - back : length - back]
            matches &= inner == history[:, length - back, None]
        rows, windows = np.nonzero(matches)
        scores[rows, history[rows, windows + self.size - 1]] = -np.inf


@dataclass(frozen=True)
class _MinLength:
    """Forbids the end tokens until a sequence is long enough."""

    shortest: int
    ends: Ids

    def acts(self, length: int) -> bool:
        return length < self.shortest

    def __call__(self, history: Ids, scores: Logits) -> None:
        scores[:, self.ends] = -np.inf


@dataclass(frozen=True)
class _ForcedTokens:
    """Leaves only some tokens, all alike, after exactly so many."""

    length: int
    tokens: Ids

    def acts(self, length: int) -> bool:
        return length == self.length

    def __call__(self, history: Ids, scores: Logits) -> None:
        scores[...] = -np.inf
        scores[:, self.tokens] = 0


class _RemoveInvalid(_Always):
    """NaN becomes 0, infinities the largest finite numbers."""

    def __call__(self, history: Ids, scores: Logits) -> None:
        np.nan_to_num(scores, copy=False, nan=0.0, posinf=_LARGEST, neginf=-_LARGEST)


@dataclass(frozen=True)
class _ExponentialDecay:
    """Raises the end tokens more and more once a sequence has grown past `start`."""

    start: int
    factor: float
    ends: Ids

    def acts(self, length: int) -> bool:
        return length > self.start

    def __call__(self, history: Ids, scores: Logits) -> None:
        ending = scores[:, self.ends]
        raised = np.abs(ending) * np.float32(np.power(self.factor, history.shape[1] - self.start) - 1)
        scores[:, self.ends] = ending + np.where(np.isfinite(ending), raised, np.float32(0))


@dataclass(frozen=True)
class _Suppress:
    """Forbids tokens: always, or after exactly `length` tokens."""

    tokens: Ids
    length: int | None = None

    def acts(self, length: int) -> bool:
        return self.length is None or length == self.length

    def __call__(self, history: Ids, scores: Logits) -> None:
        scores[:, self.tokens] = -np.inf


class _Renormalize(_Always):
    """Makes log-probabilities of the scores."""

    def __call__(self, history: Ids, scores: Logits) -> None:
        scores[...] = normalizer(scores).of(scores)


@dataclass(frozen=True)
class _Added(_Always):
    """A rule of the caller's."""

    change: Change

    def __call__(self, history: Ids, scores: Logits) -> None:
        raise NotImplementedError("a rule of the caller's is told of utterances as well")


class Filters:
    """All filters that the options name, in order. With sampling, `_Renormalize` is left to the warpers."""

    def __init__(self, options: GenerationOptions, lengths: Lengths, vocabulary: int, hooks: Hooks = NONE) -> None:
        self._filters = list(_build(options, lengths, vocabulary, hooks))
        biases = options.sequence_bias or ()
        is_free = hooks.allow is None and hooks.adjust is None
        is_plain = is_free and options.exponential_decay_length_penalty is None
        self.only_lower = is_plain and all(bias <= 0 for _, bias in biases)
        """Whether log-probabilities never rise above 0 by them."""

    def acts(self, length: int) -> bool:
        """Whether any filter changes anything after `length` tokens."""
        return any(rule.acts(length) for rule in self._filters)

    def __call__(self, history: Ids, scores: Logits, utterances: Ids | None = None) -> None:
        """Change `scores` (rows, vocabulary) in place; `history` (rows, length), `utterances` (rows,), None for 0."""
        with np.errstate(invalid="ignore", over="ignore"):
            for rule in self._filters:
                if isinstance(rule, _Added):
                    rule.change(history, scores, np.zeros(len(scores), np.int64) if utterances is None else utterances)
                elif rule.acts(history.shape[1]):
                    rule(history, scores)


def _build(options: GenerationOptions, lengths: Lengths, vocabulary: int, hooks: Hooks) -> list[Filter]:
    ends = np.array([token for token in options.ends if token < vocabulary], np.int64)
    words = [word for word in options.bad_words_ids or () if not (len(word) == 1 and word[0] in options.ends)]
    filters: list[Filter | None] = [
        _SequenceBias(options.sequence_bias) if options.sequence_bias else None,
        _RepetitionPenalty(options.repetition_penalty) if options.repetition_penalty != 1 else None,
        _NoRepeatNgram(options.no_repeat_ngram_size) if options.no_repeat_ngram_size else None,
        _SequenceBias([(word, -np.inf) for word in dict.fromkeys(words)]) if words else None,
        _MinLength(lengths.minimum, ends) if len(ends) else None,
        _Added(hooks.allow) if hooks.allow is not None else None,
        *_forced(options, lengths),
        _RemoveInvalid() if options.remove_invalid_values else None,
    ]
    if options.exponential_decay_length_penalty is not None:
        start, factor = options.exponential_decay_length_penalty
        filters.append(_ExponentialDecay(start + lengths.prompt, factor, ends))
    if options.suppress_tokens:
        filters.append(_Suppress(np.array(options.suppress_tokens, np.int64)))
    if options.begin_suppress_tokens:  # a forced first token comes before what is called the beginning
        is_after_forced = lengths.prompt == 1 and options.forced_bos_token_id is not None
        begin = lengths.prompt + int(is_after_forced)
        filters.append(_Suppress(np.array(options.begin_suppress_tokens, np.int64), begin))
    if hooks.adjust is not None:
        filters.append(_Added(hooks.adjust))
    if options.renormalize_logits and not options.do_sample:
        filters.append(_Renormalize())
    return [rule for rule in filters if rule is not None]


def _forced(options: GenerationOptions, lengths: Lengths) -> list[Filter]:
    """The first token is forced after a prompt of one token, the last where the sequence can grow no longer."""
    first, last = as_tuple(options.forced_bos_token_id), as_tuple(options.forced_eos_token_id)
    filters: list[Filter] = [_ForcedTokens(1, np.array(first, np.int64))] if first else []
    return [*filters, _ForcedTokens(lengths.maximum - 1, np.array(last, np.int64))] if last else filters
