"""The text of one utterance while it comes: of frames that are final, and of a tail that is not.

Frames come as logits `[frames, vocabulary]`; times are seconds from the utterance's first frame.
"""

import math
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..bundle.manifest import Vocabulary
from ..ctc import greedy as ctc
from ..ctc.alphabet import TokenTable
from ..ctc.beam_search import BeamSearch
from ..ctc.hypotheses import Hypothesis, word_spans
from ..results.transcript import Transcript, Word
from ..tasks.ctc_text import Clock, path_transcript, searched_transcript

Logits = npt.NDArray[np.float32]


class Reading(NamedTuple):
    """A text with its words, the beginning of it that stays, and how many of the words stay."""

    text: str
    words: list[Word]
    committed: str
    committed_words: int


class Captions(Protocol):
    """The text of an utterance, which grows."""

    def advance(self, logits: Logits) -> None:
        """Take more frames that are final."""

    def read(self, tail: Logits) -> Reading:
        """The text of all frames so far, followed by some that may change."""

    def finish(self) -> Reading:
        """The text of all frames that are final, if nothing follows."""

    def following(self) -> "Captions":
        """What continues a finished utterance that went on without a pause."""


class GreedyCaptions:
    """By the most probable token of each frame."""

    def __init__(self, vocabulary: Vocabulary, frame: float) -> None:
        """`frame` is the length of one in seconds."""
        self._vocabulary, self._clock = vocabulary, Clock(frame, math.inf)
        self._ids, self._probability = np.zeros(0, np.int64), np.zeros(0, np.float32)

    def advance(self, logits: Logits) -> None:
        """See `Captions.advance`."""
        self._ids, self._probability = self._with(logits)

    def read(self, tail: Logits) -> Reading:
        """See `Captions.read`; the word that is being written when the final frames end may change."""
        whole = self._transcript(*self._with(tail))
        closed = self._closed()
        return reading(whole, self._transcript(self._ids[:closed], self._probability[:closed]))

    def finish(self) -> Reading:
        """See `Captions.finish`."""
        whole = self._transcript(self._ids, self._probability)
        return reading(whole, whole)

    def following(self) -> "GreedyCaptions":
        """See `Captions.following`."""
        return GreedyCaptions(self._vocabulary, self._clock.frame)

    def _with(self, logits: Logits) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        if not len(logits):
            return self._ids, self._probability
        ids = ctc.greedy(logits)
        probability = ctc.emitted_probability(logits, ids)
        return np.concatenate([self._ids, ids]), np.concatenate([self._probability, probability])

    def _transcript(self, ids: npt.NDArray[np.int64], probability: npt.NDArray[np.float32]) -> Transcript:
        table = self._vocabulary
        path = ctc.path(ids, probability, table.blank, table.special, table.delimiter_id)
        return path_transcript(path, table, self._clock, with_characters=False)

    def _closed(self) -> int:
        """The frame up to which words are whole: that of the last delimiter, or all where nothing separates words."""
        delimiter = self._vocabulary.delimiter_id
        if delimiter is None:
            return len(self._ids)
        ends = np.flatnonzero(self._ids == delimiter)
        return int(ends[-1]) if len(ends) else 0


class SearchCaptions:
    """By a beam search: what all its beams agree on stays."""

    def __init__(self, search: BeamSearch, vocabulary: Vocabulary, frame: float, model_state: Any = None) -> None:
        """`frame` as above; `model_state` is that of the language model behind what was said before."""
        self._search, self._vocabulary, self._clock = search, vocabulary, Clock(frame, math.inf)
        self._table = TokenTable(search.alphabet)
        self._state, self._model_state = search.start(model_state), model_state

    def advance(self, logits: Logits) -> None:
        """See `Captions.advance`."""
        self._state = self._search.advance(self._state, logits)

    def read(self, tail: Logits) -> Reading:
        """See `Captions.read`."""
        state = self._search.advance(self._state, tail) if len(tail) else self._state
        words = word_spans(self._state.certain, self._table)
        certain = Hypothesis(" ".join(word.text for word in words), words, 0.0, 0.0)
        return reading(self._transcript(self._search.best(state)), self._transcript(certain))

    def finish(self) -> Reading:
        """See `Captions.finish`."""
        (best,) = self._search.finish(self._state, 1)
        self._model_state = best.model_state
        whole = self._transcript(best)
        return reading(whole, whole)

    def following(self) -> "SearchCaptions":
        """See `Captions.following`; the language model knows the words before."""
        return SearchCaptions(self._search, self._vocabulary, self._clock.frame, self._model_state)

    def _transcript(self, hypothesis: Hypothesis) -> Transcript:
        return searched_transcript([hypothesis], self._search.alphabet, self._vocabulary, self._clock)


def reading(whole: Transcript, certain: Transcript) -> Reading:
    """A text and the beginning of it that is certain, as far as cleaning up leaves it alone."""
    same = next((n for n, pair in enumerate(zip(whole.text, certain.text, strict=False)) if pair[0] != pair[1]), None)
    return Reading(whole.text, whole.words, certain.text[:same], len(certain.words))
