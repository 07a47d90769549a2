"""Numbers over the vocabulary: normalising logits and finding the best of them without sorting all."""

from typing import NamedTuple

import numpy as np

from .decoder import Ids, Logits

BLOCK = 128  # tokens whose maximum is taken first; of a vocabulary of 30 000 about 230 maxima are left to sort


class Normalizer(NamedTuple):
    """`peak` and `log_total` (rows,): the log-softmax of a row is `(row - peak) - log_total`."""

    peak: Logits
    log_total: Logits

    def of(self, scores: Logits) -> Logits:
        """Log-probabilities of `scores` (rows, ...), picked from those rows; -inf stays -inf, and inf takes all."""
        shape = (-1, *[1] * (scores.ndim - 1))
        peak = self.peak.reshape(shape)
        if np.isfinite(self.peak).all():
            result: Logits = (scores - peak) - self.log_total.reshape(shape)
            return result
        with np.errstate(invalid="ignore"):
            logprobs = (scores - peak) - self.log_total.reshape(shape)
        logprobs = np.where(np.isposinf(peak), np.where(scores == peak, np.float32(0), np.float32(-np.inf)), logprobs)
        return np.where(np.isneginf(scores), scores, logprobs)


def normalizer(scores: Logits) -> Normalizer:
    """Of each row of `scores` (rows, vocabulary); NaN in a row makes its numbers NaN."""
    peak = scores.max(axis=-1)
    total = np.empty_like(peak)
    buffer = np.empty(scores.shape[-1], np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        for i, row in enumerate(scores):  # one row stays in the processor's cache, all of them may not
            np.subtract(row, peak[i], out=buffer)
            total[i] = np.exp(buffer, out=buffer).sum()
        return Normalizer(peak, np.log(total))


def log_softmax(scores: Logits) -> Logits:
    """A new array (rows, vocabulary); a row of -inf only becomes NaN, as the formula has it."""
    peak, log_total = normalizer(scores)
    with np.errstate(invalid="ignore"):
        shifted = scores - peak[:, None]
        shifted -= log_total[:, None]
    return shifted


def top(scores: Logits, count: int) -> Ids:
    """Indices (count,) of the largest of `scores` (n,), the largest first, of equals the lowest index first.

    No block but the `count` with the largest maxima can hold one of them: every one of those blocks has a score that
    comes before all scores of the others.
    """
    n = len(scores)
    if n <= 2 * BLOCK:
        return np.argsort(-scores, kind="stable")[:count]
    if count * BLOCK * 2 >= n:
        return _partitioned(scores, count)
    maxima = np.maximum.reduceat(scores, np.arange(0, n, BLOCK))
    blocks = np.sort(np.argsort(-maxima, kind="stable")[:count])
    indices = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    indices = indices[: np.searchsorted(indices, n)]
    return indices[_partitioned(scores[indices], count)]


def _partitioned(scores: Logits, count: int) -> Ids:
    count = min(count, len(scores))
    reached = np.partition(scores, len(scores) - count)[len(scores) - count]
    kept = np.flatnonzero(scores >= reached)
    return kept[np.argsort(-scores[kept], kind="stable")[:count]]
