"""CTC prefix beam search with a language model and hotwords (Graves and Jaitly 2014; scores as in pyctcdecode).

A search takes logits in pieces: `start`, `advance` as often as there is something, `finish`. The state in between is a
value, and however the frames are cut into pieces, the result is the same to the bit. Of equal scores, the beam whose
last token has the lower id is the better one, so results do not vary from run to run.

Frames in which only the blank is likely enough to be tried (`token_min_logp`) change no order and merge nothing once
every beam ends in a blank: there its log probability is only added to all, which is what the search would come to.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError
from .alphabet import Alphabet, TokenTable, log_probabilities
from .beams import (
    CONTEXT,
    HOT,
    JUDGED,
    LAST,
    LENGTH,
    LOGITS,
    NEXT,
    NO_TOKEN,
    OPEN,
    PATH,
    PLAIN,
    TOKEN,
    Beams,
    BeamState,
    Context,
    Floats,
    Ints,
    Path,
)
from .fusion import Fusion
from .hotwords import START, HotwordAutomaton, PhraseTrie
from .hypotheses import Hypothesis, word_spans
from .judging import Judge
from .paths import EMPTY, ROOT, PathTree
from .prefixes import PrefixAutomaton
from .step import BeamOptions, FrameStep

PIECE = 512  # frames between which the memory of a search is tidied


class BeamSearch:
    """A search over one alphabet, with one language model and one set of hotwords; it holds no state of its own."""

    def __init__(
        self,
        alphabet: Alphabet,
        language_model: Fusion | None = None,
        hotwords: Mapping[str, float] | None = None,
        options: BeamOptions | None = None,
    ) -> None:
        """`hotwords` are phrases with weights, as `checked_hotwords` returns them. Raises ArgumentError."""
        self.alphabet, self.options = alphabet, BeamOptions() if options is None else options
        if self.options.beam_width < 1:
            raise ArgumentError(f"beams: expected at least 1, got {self.options.beam_width}")
        self._table, self._fusion = TokenTable(alphabet), language_model
        self._trie = PhraseTrie(hotwords) if hotwords else None

    def start(self, model_state: Any = None) -> BeamState:
        """The state before the first frame; `model_state` is that of the language model, None for its beginning."""
        numbers = np.zeros((14, 1), np.int64)
        numbers[[LAST, TOKEN]], numbers[PATH], numbers[HOT] = NO_TOKEN, ROOT, START
        context = Context(None, 0.0, ()) if self._fusion is None else self._fusion.start(model_state)
        beams = Beams(numbers, np.zeros((7, 1)))
        return BeamState(0, beams, (context,), (((0, 0.0),),), EMPTY, EMPTY, np.zeros(0, np.int64))

    def decode(self, logits: npt.ArrayLike, n_best: int | None = None) -> list[Hypothesis]:
        """The `n_best` hypotheses (None: all that are left) for all logits at once, `[frames, vocabulary]`."""
        return self.finish(self.advance(self.start(), logits), n_best)

    def advance(self, state: BeamState, logits: npt.ArrayLike, is_probability: bool = False) -> BeamState:
        """The state after more frames, `[frames, vocabulary]`; the one before stays as it is. Raises ArgumentError."""
        logp = log_probabilities(logits, self.alphabet, is_probability)
        for start in range(0, len(logp), PIECE):
            state = self._advance(state, logp[start : start + PIECE])
        return state

    def _advance(self, state: BeamState, logp: Floats) -> BeamState:
        table = self._table
        likely = logp >= self.options.token_min_logp
        best = np.where(table.allowed, logp, -np.inf).argmax(axis=1)
        likely[np.arange(len(logp)), best] = True
        likely &= table.allowed
        columns = np.flatnonzero(likely.any(axis=0))
        step, beams = self._resume(state, columns)
        counts = likely.sum(axis=1)
        only_blank = ((counts == 1) & (best == table.blank)).tolist()
        bounds = [0, *np.cumsum(counts).tolist()]
        tokens, values, silence = np.nonzero(likely)[1], logp[likely], logp[:, table.blank].tolist()
        for index, is_silent in enumerate(only_blank):
            if is_silent and (beams.numbers[LAST] == table.blank).all():
                beams.scores[LOGITS] += silence[index]
                beams.scores[PLAIN] += silence[index]
                continue
            some = slice(bounds[index], bounds[index + 1])
            beams = step.advance(beams, state.frames + index, tokens[some], values[some])
        return self._suspend(state, step, beams, len(logp))

    def _resume(self, state: BeamState, columns: Ints) -> tuple[FrameStep, Beams]:
        """The state as a search works on it, in which tokens other than `columns` do not occur."""
        texts = [self._table.texts[column] for column in columns.tolist()]
        prefixes = None if self._fusion is None else PrefixAutomaton(self._fusion, texts)
        hot = None if self._trie is None else HotwordAutomaton(self._trie, texts)
        beams = Beams(state.beams.numbers.copy(), state.beams.scores.copy())
        if hot is not None:
            beams.numbers[HOT] = [hot.add(matches) for matches in state.hot]
        tree = PathTree(state.steps, state.before)
        judge = Judge(self._table, self._fusion, prefixes, hot, state.contexts, tree)
        return FrameStep(self._table, self.options, columns, judge, tree, state.asks_for_word), beams

    def _suspend(self, state: BeamState, step: FrameStep, beams: Beams, frames: int) -> BeamState:
        """What of the search's memory its beams still need."""
        numbers = beams.numbers
        shared, steps, before, ends = step.tree.pruned(numbers[PATH])
        hot: tuple[Any, ...] = (((0, 0.0),),) * beams.width
        judge = step.judge
        if judge.hot is not None:
            hot = tuple(judge.hot.states[index] for index in numbers[HOT].tolist())
        numbers[HOT] = START  # numbers of states are those of this piece
        used, contexts = np.unique(numbers[CONTEXT], return_inverse=True)
        numbers[CONTEXT], numbers[PATH] = contexts.reshape(-1), ends
        numbers[NEXT] = np.where(numbers[LENGTH] == 0, numbers[CONTEXT], OPEN)
        certain = Path(*(np.concatenate(parts, axis=-1) for parts in zip(state.certain, shared, strict=True)))
        kept = tuple(judge.contexts[index] for index in used.tolist())
        return BeamState(state.frames + frames, beams, kept, hot, certain, steps, before, step.asks_for_word)

    def best(self, state: BeamState) -> Hypothesis:
        """The leading text so far: what may still change, with a last word that may be unfinished.

        Its words are those of a text that goes on; the words in `state.certain` do not change any more.
        """
        tree, scores = PathTree(state.steps, state.before), state.beams.scores[:, 0]
        return self._hypothesis(state, tree, 0, float(scores[LOGITS]), float(scores[LOGITS] + scores[JUDGED]), None)

    def finish(self, state: BeamState, n_best: int | None = None) -> list[Hypothesis]:
        """The `n_best` hypotheses (None: all that are left) if nothing follows, best first. There is always one."""
        if n_best is not None and n_best < 1:
            raise ArgumentError(f"n_best: expected at least 1, got {n_best}")
        step, beams = self._resume(state, np.arange(len(self._table.texts)))
        ended = step.judge.ended(beams)
        groups: dict[int, list[int]] = {}
        for index, text in enumerate(ended.text.tolist()):
            groups.setdefault(text, []).append(index)
        finished: list[tuple[float, float, int, Any]] = []
        plain: list[tuple[float, int]] = []  # what a search without hotwords would find, by the index in `finished`
        for members in groups.values():
            logits, last = np.logaddexp.reduce(beams.scores[LOGITS, members]), members[-1]
            model, model_state = self._finished(step, beams, last)
            finished.append((float(logits + (model + ended.hotwords[last])), float(logits), last, model_state))
            scored = [member for member in members if beams.scores[PLAIN, member] > -np.inf]
            if scored and step.guards:
                own = np.logaddexp.reduce(beams.scores[PLAIN, scored]) + self._finished(step, beams, scored[-1])[0]
                plain.append((float(own), len(finished) - 1))
        limit = max(score for score, *_ in finished) + self.options.beam_prune_logp
        ranked = sorted((entry for entry in finished if entry[0] >= limit), key=lambda entry: -entry[0])
        if plain and not ended.hotwords[ranked[0][2]]:  # none of the hotwords is in the text: it is as without any
            first = finished[max(plain, key=lambda entry: entry[0])[1]]
            ranked = [first, *(entry for entry in ranked if entry is not first)]
        count = self.options.beam_width if n_best is None else min(n_best, self.options.beam_width)
        return [
            self._hypothesis(state, step.tree, index, logits, score, model_state)
            for score, logits, index, model_state in ranked[:count]
        ]

    def _finished(self, step: FrameStep, beams: Beams, index: int) -> tuple[float, Any]:
        """What the language model says of a beam that ends here, and its state."""
        if self._fusion is None:
            return 0.0, None
        word = step.judge.word(beams, index) if beams.numbers[LENGTH, index] else ""
        return self._fusion.finish(step.judge.contexts[beams.numbers[CONTEXT, index]], word)

    def _hypothesis(
        self, state: BeamState, tree: PathTree, index: int, logits: float, score: float, model_state: Any
    ) -> Hypothesis:
        parts = zip(state.certain, tree.walk(state.beams, index), strict=True)
        words = word_spans(Path(*(np.concatenate(part, axis=-1) for part in parts)), self._table)
        return Hypothesis(" ".join(word.text for word in words), words, logits, score, model_state)
