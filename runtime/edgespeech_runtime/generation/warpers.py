"""The filters of sampling: temperature, top-k, top-p, min-p, typical, epsilon and eta, then the draw itself.

They work on the candidates that are left of one row, not on the whole vocabulary. Names, order and meanings are those
of transformers 5.23; of equal tokens at the edge of top-p, where it leaves the order open, the lowest ids stay.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .decoder import Ids, Logits
from .options import GenerationOptions
from .scores import top

Draw = Callable[[npt.NDArray[np.float64], int, "np.random.Generator"], Ids]
"""Scores (n,), a count, a source of randomness -> different indices (count,) in the order they were drawn in."""

_MANY = 4096  # candidates; of more, the improbable ones are set aside before top-p sorts


class Candidates(NamedTuple):
    """Tokens that may still be drawn: ids in rising order and their scores, both (n,)."""

    ids: Ids
    scores: Logits

    def keep(self, kept: npt.NDArray[np.bool_]) -> "Candidates":
        """Those where the mask `kept` is true."""
        return Candidates(self.ids[kept], self.scores[kept])

    def logprobs(self) -> Logits:
        """Log-softmax of the scores."""
        shifted = self.scores - self.scores.max()
        return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


class Warpers:
    """Makes the distribution that is sampled from out of a row of filtered scores."""

    def __init__(self, options: GenerationOptions) -> None:
        self._options = options
        # with beams, enough must be left for them although all end tokens may be among them
        self._least = max(2, len(options.ends) + 1) if options.num_beams > 1 else 1

    def __call__(self, scores: Logits) -> Candidates:
        """`scores` (vocabulary,), not changed -> what may be drawn; nothing where all scores are -inf."""
        options = self._options
        if options.temperature != 1:
            with np.errstate(over="ignore"):  # to -inf, from the lowest number
                scores = scores / np.float32(options.temperature)
        if options.top_k:
            count = min(max(options.top_k, self._least), len(scores))
            floor = scores[top(scores, count)[-1]]
            ids = np.flatnonzero((scores >= floor) & (scores > -np.inf))
        else:
            ids = np.flatnonzero(scores > -np.inf)
        candidates = Candidates(ids, scores[ids])
        if not len(ids):
            return candidates
        if options.top_p < 1:
            candidates = self._nucleus(candidates, options.top_p)
        if options.min_p is not None:
            candidates = self._above(candidates, options.min_p * float(_probabilities(candidates.scores).max()))
        if options.typical_p < 1:
            candidates = self._typical(candidates, options.typical_p)
        if options.epsilon_cutoff > 0:
            candidates = self._above(candidates, options.epsilon_cutoff)
        if options.eta_cutoff > 0:
            logprobs = candidates.logprobs()
            entropy = -float((np.exp(logprobs) * logprobs).sum())
            candidates = self._above(
                candidates, min(options.eta_cutoff, float(np.sqrt(options.eta_cutoff) * np.exp(-entropy)))
            )
        return Candidates(candidates.ids, candidates.logprobs()) if options.renormalize_logits else candidates

    def _above(self, candidates: Candidates, threshold: float) -> Candidates:
        """Keep probabilities of at least `threshold`, and the most probable tokens whatever theirs."""
        kept = _probabilities(candidates.scores) >= np.float32(threshold)
        kept[top(candidates.scores, min(self._least, len(kept)))] = True
        return candidates.keep(kept)

    def _nucleus(self, candidates: Candidates, mass: float) -> Candidates:
        """The most probable tokens that reach `mass` together (Holtzman et al. 2019)."""
        probabilities = _probabilities(candidates.scores)
        rest = np.float32(0)
        if len(probabilities) > _MANY:
            likely = self._reaching(candidates.scores, probabilities, mass)
            rest = np.float32(1 - probabilities[likely].sum(dtype=np.float64))
            candidates, probabilities = candidates.keep(likely), probabilities[likely]
        order = (
            len(candidates.ids) - 1 - np.argsort(candidates.scores[::-1], kind="stable")
        )  # of equals the lowest id last
        cut = rest + np.cumsum(probabilities[order]) <= np.float32(1 - mass)
        cut[-self._least :] = False
        kept = np.empty(len(order), bool)
        kept[order] = ~cut
        return candidates.keep(kept)

    def _reaching(self, scores: Logits, probabilities: Logits, mass: float) -> npt.NDArray[np.bool_]:
        """A mask of the most probable tokens, ties complete, that is certain to hold the nucleus."""
        count = _MANY // 8
        while count < len(scores):
            floor = scores[top(scores, count)[-1]]
            mask = scores >= floor
            if probabilities[mask].sum(dtype=np.float64) > mass + 1e-4:  # the sums of float32 differ by less
                return mask
            count *= 4
        return np.ones(len(scores), bool)

    def _typical(self, candidates: Candidates, mass: float) -> Candidates:
        """Tokens whose information is nearest to the expected one (Meister et al. 2022)."""
        logprobs = candidates.logprobs()
        probabilities = np.exp(logprobs)
        distance = np.abs(-logprobs + (logprobs * probabilities).sum())
        order = np.argsort(distance, kind="stable")
        last = min(int((np.cumsum(probabilities[order]) < mass).sum()), len(order) - 1)
        kept = distance <= distance[order[last]]
        kept[order[: self._least]] = True
        return candidates.keep(kept)


def draw(scores: npt.NDArray[np.float64], count: int, generator: "np.random.Generator") -> Ids:
    """Draw without putting back, each index with the softmax of `scores`; what has no probability comes last.

    One index by the inverse of the cumulative distribution; several by the largest of Gumbel-perturbed scores (Yellott
    1977), which draws one after the other from what is left.
    """
    if count == 1:
        cumulative = np.cumsum(np.exp(scores - scores.max()))
        indices = np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right")
        return np.minimum(indices, len(scores) - 1).reshape(1)
    keys = scores + generator.gumbel(size=len(scores))
    return np.argsort(-keys, kind="stable")[:count]


def _probabilities(scores: Logits) -> Logits:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum(), np.float32)
