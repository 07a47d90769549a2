"""Numbers over the vocabulary: normalising logits and finding the best of them without sorting all."""

from typing import NamedTuple

import numpy as np

from .decoder import Ids, Logits

BLOCK = 128  # tokens whose maximum is taken first; of a vocabulary of 30 000 about 230 maxima are left to sort
MAXIMA = 512  # of a row that `top_of_rows` leaves at least
MOST_TIES = 8  # times as many candidates as are asked for, beyond which each row is looked at on its own


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
    peak = np.maximum.reduce(scores, axis=-1)
    total = np.empty_like(peak)
    buffer = np.empty(scores.shape[-1], np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        for i, row in enumerate(scores):  # one row stays in the processor's cache, all of them may not
            np.subtract(row, peak[i], out=buffer)
            total[i] = np.add.reduce(np.exp(buffer, out=buffer))
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


def top_of_rows(scores: Logits, count: int) -> Ids:
    """`top` of each row of `scores` (rows, n), (rows, count): a few operations for all rows together.

    The maxima of `_folded` are scores of tokens, each of another, so at least `count` scores reach the `count`-th
    largest of them; what does not reach it is not among the best.
    """
    rows, n = scores.shape
    count = min(count, n)
    if n >= 2 * MAXIMA and 4 * count <= MAXIMA:
        reached = np.partition(_folded(scores), -count, axis=1)[:, -count]
        flat = np.flatnonzero(scores >= reached[:, None])
        if len(flat) <= MOST_TIES * rows * count:  # neither NaN nor many equal scores
            values, row = scores.ravel()[flat], flat // n
            order = np.lexsort((-values, row))  # stable: of equals the lowest index first
            first = np.searchsorted(row, np.arange(rows))
            if len(flat) >= first[-1] + count and (np.diff(first) >= count).all():
                best: Ids = (flat[order] % n)[first[:, None] + np.arange(count)]
                return best
    return np.stack([top(row, count) for row in scores])


def _folded(scores: Logits) -> Logits:
    """Maxima (rows, fewer) of groups into which the tokens of each row are divided."""
    fewer, folds = scores.shape[1], 0
    while fewer >= 2 * MAXIMA:
        fewer, folds = fewer // 2, folds + 1
    end = fewer << folds
    maxima = scores[:, :end]
    for _ in range(folds):
        half = maxima.shape[1] // 2
        maxima = np.maximum(maxima[:, :half], maxima[:, half:])
    return np.concatenate((maxima, scores[:, end:]), axis=1)


def _partitioned(scores: Logits, count: int) -> Ids:
    count = min(count, len(scores))
    reached = np.partition(scores, len(scores) - count)[len(scores) - count]
    kept = np.flatnonzero(scores >= reached)
    return kept[np.argsort(-scores[kept], kind="stable")[:count]]
