"""How far an error rate, or the difference of two, would scatter over other utterances of the same kind.

Utterances, not words, are drawn with replacement, because errors within one depend on each other. Method: M. Bisani,
H. Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgespeech_calib.errors import ScoringError

RESAMPLES = 10_000
LEVEL = 0.95
AT_ONCE = 2**22  # draws that are held in memory


@dataclass(frozen=True)
class Interval:
    """Bounds between which a share `level` of the resamples lies."""

    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True)
class Difference:
    """A difference of error rates, first minus second, with its bounds.

    `worse` is the share of resamples in which the first has the higher rate.
    """

    value: float
    low: float
    high: float
    worse: float
    level: float = LEVEL


def interval(
    errors: Sequence[int], totals: Sequence[int], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Bounds of the error rate of utterances with so many errors in so many words each.

    Raises:
        ScoringError: no utterances, different numbers of them, or no words.
    """
    (rates,) = _rates([errors], totals, seed, resamples)
    low, high = _bounds(rates, level)
    return Interval(low, high, level)


def paired_difference(
    first: Sequence[int],
    second: Sequence[int],
    totals: Sequence[int],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Difference:
    """Difference of two systems' error rates on the same utterances, first minus second.

    Both are resampled alike, so what makes an utterance hard for both cancels out. Errors: see `interval`.
    """
    rates = _rates([first, second], totals, seed, resamples)
    differences = rates[0] - rates[1]
    low, high = _bounds(differences, level)
    value = (sum(first) - sum(second)) / sum(totals)
    return Difference(float(value), low, high, float(np.mean(differences > 0)), level)


def _rates(
    systems: Sequence[Sequence[int]], totals: Sequence[int], seed: int, resamples: int
) -> npt.NDArray[np.float64]:
    """[systems, resamples]; resamples without any word are left out."""
    count = len(totals)
    if any(len(errors) != count for errors in systems):
        raise ScoringError("expected errors and words of the same utterances, got different numbers of them")
    if not count or sum(totals) <= 0:
        raise ScoringError("there is no interval, because nothing is said in the references")
    table = np.array([totals, *systems], np.float64)
    generator = np.random.default_rng(seed)
    sums = []
    for start in range(0, resamples, max(1, AT_ONCE // count)):
        rows = min(max(1, AT_ONCE // count), resamples - start)
        drawn = generator.integers(0, count, (rows, count))
        sums.append(np.stack([values[drawn].sum(axis=1) for values in table]))
    words, *errors_of = np.concatenate(sums, axis=1)
    has_words = words > 0
    return np.stack([errors[has_words] / words[has_words] for errors in errors_of])


def _bounds(values: npt.NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
