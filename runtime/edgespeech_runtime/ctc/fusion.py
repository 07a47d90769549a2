"""How a language model takes part in a search: shallow fusion, as pyctcdecode does it.

A finished word adds `alpha * ln(10) * log10 P(word | words before) + beta` to a beam; a word that the model does not
know has `unknown_offset` added to its log10 probability first. A word that is being written costs nothing while some
word of the model begins so, else `unknown_offset`, times its length over 6 where it is longer than that; this is not
weighted and is gone when the word is finished.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .alphabet import Alphabet
from .beams import Context, Floats, Ints
from .language_model import NgramModel
from .ngrams.prefix_tree import PrefixTree

USUAL_LENGTH = 6  # characters of a word, beyond which an unknown one costs more
CACHED = 1_000_000  # words and prefixes that are remembered
LOOKED_AT = 20_000  # words of a model that are looked at to see whether the alphabet can write any
MARKERS = frozenset(("<s>", "</s>", "<unk>"))


@dataclass(frozen=True)
class FusionWeights:
    """`alpha` weighs the model, `beta` is added for each word, `unknown_offset` (log10) to words that are not known.

    With `score_boundary` the first word is judged as one behind <s>, and the end as </s>. Raises ArgumentError.
    """

    alpha: float = 0.5
    beta: float = 1.5
    unknown_offset: float = -10.0
    score_boundary: bool = True

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "unknown_offset"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ArgumentError(f"{name}: expected a number, got {value!r}")


class Fusion:
    """A language model with its weights, and its words, if others than the model's own vocabulary.

    One may serve several searches and threads at a time. `knows_words`: what is not among `prefixes` is unknown.
    """

    def __init__(
        self, model: NgramModel, weights: FusionWeights | None = None, unigrams: Collection[str] | None = None
    ) -> None:
        """`unigrams` None: the vocabulary of the model itself. Unigrams that it does not have count for nothing."""
        self.model, self.weights = model, FusionWeights() if weights is None else weights
        self._unigrams = None if unigrams is None else frozenset(word for word in unigrams if word in model)
        self.knows_words = model.words is not None if self._unigrams is None else bool(self._unigrams)
        self._added: dict[tuple[Any, str], tuple[float, Any]] = {}  # weighted scores
        self._kept = max(1, model.order - 1)  # words that a beam's future depends on

    @cached_property
    def prefixes(self) -> PrefixTree:
        """All beginnings of its words."""
        return self.model.prefix_tree if self._unigrams is None else PrefixTree(self._unigrams)

    def start(self, state: Any = None) -> Context:
        """The context before the first word; `state` is one of the model's, None for the beginning."""
        return Context(self.model.begin(self.weights.score_boundary) if state is None else state, 0.0, ())

    def extend(self, context: Context, word: str, name: int) -> Context:
        """The context behind one more word, whose hash is `name`."""
        state, score, tail = context
        added = self._added.get((state, word))
        if added is None:
            log10, following = self._log10(state, word)
            if len(self._added) >= CACHED:
                self._added.clear()
            added = self._added[state, word] = self._weighted(log10), following
        return Context(added[1], score + added[0], (*tail, name)[-self._kept :])

    def finish(self, context: Context, word: str) -> tuple[float, Any]:
        """The score of a text that ends with this word ("" where one is finished), and the state behind it.

        An empty last word is an unknown one, as in pyctcdecode: a text that ends with a space costs more.
        """
        log10, state = self._log10(context.state, word)
        if self.weights.score_boundary:
            log10 += self.model.end(state)
        return context.score + self._weighted(log10), state

    def _weighted(self, log10: float) -> float:
        return self.weights.alpha * log10 * math.log(10) + self.weights.beta

    def _log10(self, state: Any, word: str) -> tuple[float, Any]:
        log10, following = self.model.score(state, word)
        is_known = word in self.model if not self._unigrams else word in self._unigrams
        return (log10 if is_known else log10 + self.weights.unknown_offset), following

    def unfinished(self, lengths: Ints) -> Floats:
        """What words of so many characters that are being written cost, where no known word begins so."""
        return self.weights.unknown_offset * np.maximum(1.0, lengths / USUAL_LENGTH)

    def at_best(self, prefixes: Ints) -> Floats:
        """No less than what words add that are still to be scored, if alpha is not negative.

        See `PrefixAutomaton` for what `prefixes` are.
        """
        if not self.knows_words:
            return np.full(prefixes.shape, self._weighted(max(0.0, self.weights.unknown_offset)))
        return self._at_best.take(prefixes, mode="clip")

    @cached_property
    def _at_best(self) -> Floats:
        offset = self.weights.unknown_offset
        most = self._weighted(max(0.0, offset))
        return np.where(self.prefixes.is_word, most, self._weighted(offset))

    def __getstate__(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in vars(self).items() if name not in ("prefixes", "_at_best")},
            "_scores": {},
        }


def check_words(model: NgramModel, alphabet: Alphabet) -> None:
    """Raise ArgumentError for a language model none of whose words the alphabet can write, in this case of letters."""
    if not alphabet.has_words:
        raise ArgumentError(
            "language_model: the vocabulary has nothing that separates words, so there are none to judge; leave it out"
        )
    if model.words is None:
        return
    words = [word for word in islice(model.words, LOOKED_AT) if word not in MARKERS]
    lettered = [word for word in words if any(character.isalpha() for character in word)]
    if any(not alphabet.missing(word) for word in lettered or words):
        return
    example = f"it has {lettered[0]!r}" if lettered else "it has none"
    used = [label for i, label in enumerate(alphabet.labels) if i not in alphabet.excluded and label.strip()]
    raise ArgumentError(
        f"language_model: the LM has no word of this vocabulary: {example}, the vocabulary's letters are "
        f"{' '.join(used[:8])}; take one of the same alphabet and case"
    )
