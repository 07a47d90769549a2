"""CTC prefix beam search with a language model and hotwords (Graves and Jaitly 2014; scores as in pyctcdecode).

A search takes logits in pieces: `start`, `advance` as often as there is something, `finish`. The state in between is a
value, and however the frames are cut into pieces, the result is the same to the bit. Of equal scores, the beam whose
last token has the lower id is the better one, so results do not vary from run to run.

Frames in which only the blank is likely enough to be tried (`token_min_logp`) change no order and merge nothing once
every beam ends in a blank: there its log probability is only added to all, which is what the search would come to.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError
from .alphabet import Alphabet, TokenTable, labels_of, log_probabilities
from .beams import (
    CONTEXT,
    EMITTED,
    HOT,
    JUDGED,
    LAST,
    LENGTH,
    LOGITS,
    NEXT,
    NO_TOKEN,
    OF_TEXT,
    OPEN,
    PATH,
    PLAIN,
    SCORES_OF_TEXT,
    TOKEN,
    Beams,
    BeamState,
    Bools,
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
from .prefixes import prefixes_of
from .step import BeamOptions, FrameStep
from .trials import Trials

PIECE = 512  # frames between which the memory of a search is tidied
ALL = 128  # tokens of an alphabet that counts as small
STATES = 50_000  # of hotwords, beyond which they are forgotten


class BeamSearch:
    """A search over one alphabet, with one language model and one set of hotwords; threads may share it."""

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
        self._allowed = np.flatnonzero(self._table.allowed)
        self._hot: tuple[Sequence[str], HotwordAutomaton] | None = None

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
        start, first = 0, state.frames
        while start < len(logp):
            state = self._advance(state, logp[start : start + PIECE])
            start = state.frames - first
        return state

    def _advance(self, state: BeamState, logp: Floats) -> BeamState:
        table = self._table
        likely = logp >= self.options.token_min_logp
        best = np.where(table.allowed, logp, -np.inf).argmax(axis=1)
        likely[np.arange(len(logp)), best] = True
        likely &= table.allowed
        step = self._resume(state, self._columns(state, np.asarray(likely.any(axis=0))))
        counts = likely.sum(axis=1)
        trials = step.trials(np.nonzero(likely)[1], logp[likely], counts)
        weak = self._weak(step, logp, likely)
        singles, first = (counts == 1).tolist(), state.frames
        tokens, values = best.tolist(), logp[np.arange(len(logp)), best].tolist()
        for index, is_single in enumerate(singles):
            more = None if weak is None else step.weak(weak, index)
            if more is None and is_single and step.repeat(first + index, tokens[index], values[index]):
                continue
            step.advance(first + index, trials, index, more)
            if step.texts.is_full:
                return self._suspend(state, step, index + 1)
        return self._suspend(state, step, len(logp))

    def _weak(self, step: FrameStep, logp: Floats, likely: Bools) -> Trials | None:
        """Letters that are tried only where they go on with a hotword."""
        if not step.guards:
            return None
        table, least = self._table, self.options.hotword_min_logp
        is_letter = table.allowed & ~table.breaks & (table.lengths > 0)
        weak = (logp >= least) & ~likely & is_letter & step.occurs
        return step.trials(np.nonzero(weak)[1], logp[weak], weak.sum(axis=1))

    def _columns(self, state: BeamState, are_likely: Bools) -> Ints:
        """The tokens of columns: all of a small alphabet, so that what hotwords make of them is kept, or the likely."""
        tokens = self._allowed if len(self._allowed) <= ALL else np.flatnonzero(are_likely)
        return FrameStep.columns(self._table, tokens, state.asks_for_word)

    def _resume(self, state: BeamState, tokens: Ints) -> FrameStep:
        """The search at work, with columns of these tokens."""
        judge, numbers = self._judge(state, tokens)
        tree = PathTree(state.steps, state.before)
        beams = Beams(numbers, state.beams.scores)
        return FrameStep(self._table, self.options, tokens, judge, tree, beams, state.asks_for_word)

    def _judge(self, state: BeamState, tokens: Ints) -> tuple[Judge, Ints]:
        """Language model and hotwords for these tokens, and the numbers of beams as they know them."""
        texts = [self._table.texts[token] for token in tokens.tolist()]
        prefixes = None if self._fusion is None else prefixes_of(self._fusion, texts, self._table.characters)
        hot, numbers = None, state.beams.numbers.copy()
        if self._trie is not None:
            hot = self._automaton(self._trie, texts)
            numbers[HOT] = [hot.add(matches) for matches in state.hot]
        return Judge(self._table, self._fusion, prefixes, hot, state.contexts), numbers

    def _automaton(self, trie: PhraseTrie, texts: Sequence[str]) -> HotwordAutomaton:
        """That of the last piece, if it has these texts; others have others to grow."""
        kept = self._hot
        if kept is None or kept[0] != texts or len(kept[1].states) > STATES:
            kept = self._hot = texts, HotwordAutomaton(trie, texts)
        return kept[1]

    def _suspend(self, state: BeamState, step: FrameStep, frames: int) -> BeamState:
        """What of the search's memory its beams still need."""
        texts, nodes, judge = step.texts, step.nodes, step.judge
        numbers, scores = np.empty((14, len(nodes)), np.int64), np.empty((7, len(nodes)))
        numbers[:OF_TEXT], scores[:SCORES_OF_TEXT] = (
            texts.numbers[:OF_TEXT].take(nodes, axis=1),
            texts.scores.take(nodes, axis=1),
        )
        numbers[LAST], scores[LOGITS] = step.last, step.logits
        scores[PLAIN] = step.plain if step.guards else step.logits
        numbers[PATH:], scores[EMITTED] = step.lineage.laid_out(len(nodes), texts.numbers[LENGTH])
        shared, steps, before, numbers[PATH] = step.lineage.tree.pruned(numbers[PATH])
        hot: tuple[Any, ...] = (((0, 0.0),),) * len(nodes)
        if judge.hot is not None:
            hot = tuple(judge.hot.states[index] for index in numbers[HOT].tolist())
        numbers[HOT] = START  # numbers of states are those of this piece, as are those of contexts
        used: dict[Context, int] = {}
        contexts = [judge.contexts[context] for context in numbers[CONTEXT].tolist()]
        numbers[CONTEXT] = [used.setdefault(context, len(used)) for context in contexts]
        numbers[NEXT] = np.where(numbers[LENGTH] == 0, numbers[CONTEXT], OPEN)
        certain = Path(*(np.concatenate(parts, axis=-1) for parts in zip(state.certain, shared, strict=True)))
        kept = tuple(used)
        return BeamState(
            state.frames + frames, Beams(numbers, scores), kept, hot, certain, steps, before, step.asks_for_word
        )

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
        judge, numbers = self._judge(state, self._columns(state, self._table.allowed))
        beams, tree = Beams(numbers, state.beams.scores), PathTree(state.steps, state.before)
        guards = judge.hot is not None and self.options.keep_unboosted
        ended = judge.ended(beams)
        groups: dict[int, list[int]] = {}
        for index, text in enumerate(ended.text.tolist()):
            groups.setdefault(text, []).append(index)
        finished: list[tuple[float, float, int, Any]] = []
        plain: list[tuple[float, int]] = []  # what a search without hotwords would find, by the index in `finished`
        for members in groups.values():
            logits, last = np.logaddexp.reduce(beams.scores[LOGITS, members]), members[-1]
            model, model_state = self._finished(judge, tree, beams, last)
            finished.append((float(logits + (model + ended.hotwords[last])), float(logits), last, model_state))
            scored = [member for member in members if beams.scores[PLAIN, member] > -np.inf]
            if scored and guards:
                own = (
                    np.logaddexp.reduce(beams.scores[PLAIN, scored]) + self._finished(judge, tree, beams, scored[-1])[0]
                )
                plain.append((float(own), len(finished) - 1))
        limit = max(score for score, *_ in finished) + self.options.beam_prune_logp
        ranked = sorted((entry for entry in finished if entry[0] >= limit), key=lambda entry: -entry[0])
        if plain and not ended.hotwords[ranked[0][2]]:  # none of the hotwords is in the text: it is as without any
            first = finished[max(plain, key=lambda entry: entry[0])[1]]
            ranked = [first, *(entry for entry in ranked if entry is not first)]
        count = self.options.beam_width if n_best is None else min(n_best, self.options.beam_width)
        return [
            self._hypothesis(state, tree, index, logits, score, model_state)
            for score, logits, index, model_state in ranked[:count]
        ]

    def _finished(self, judge: Judge, tree: PathTree, beams: Beams, index: int) -> tuple[float, Any]:
        """What the language model says of a beam that ends here, and its state."""
        if self._fusion is None:
            return 0.0, None
        word = labels_of(tree.word(beams, index), self._table) if beams.numbers[LENGTH, index] else ""
        return self._fusion.finish(judge.contexts[beams.numbers[CONTEXT, index]], word)

    def _hypothesis(
        self, state: BeamState, tree: PathTree, index: int, logits: float, score: float, model_state: Any
    ) -> Hypothesis:
        parts = zip(state.certain, tree.walk(state.beams, index), strict=True)
        words = word_spans(Path(*(np.concatenate(part, axis=-1) for part in parts)), self._table)
        return Hypothesis(" ".join(word.text for word in words), words, logits, score, model_state)
