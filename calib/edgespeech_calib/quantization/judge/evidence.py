"""What some utterances show of a share or of a difference, beside what is allowed, and how many would settle it.

A set of calibration speech is small. "At most 2 % of the words changed" is not shown by 32 utterances, nor is it
refuted by one word too many: what is shown is an interval. A bundle is refused where the whole interval lies above what
is allowed. Bounds are those of a bootstrap over utterances, see `bootstrap`; where few words changed there is little to
draw from, and E. B. Wilson's bounds for a share ("Probable inference, the law of succession, and statistical
inference", JASA 1927) are the wider ones: of 0 changes among 500 words they make 0 to 0.8 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgespeech_calib.scoring.bootstrap import Difference, Interval, interval, paired_difference

DEVIATIONS = 1.96  # of a normal distribution, between which 95 % of it lie
DIGITS = 2  # of how many utterances would settle it
MOST = 100_000  # utterances that anybody would read


@dataclass(frozen=True)
class Evidence:
    """What was seen on so many utterances: fractions, with the bounds of a 95 % interval, and what is allowed."""

    value: float
    low: float
    high: float
    allowed: float
    utterances: int

    @property
    def is_worse(self) -> bool:
        """Whether it is shown that more is there than is allowed."""
        return self.low > self.allowed

    @property
    def is_within(self) -> bool:
        """Whether it is shown that no more is there than is allowed."""
        return self.high <= self.allowed

    @property
    def needed(self) -> int | None:
        """How many utterances like these would settle it, if what was seen stays as it is; None for no end of them.

        Bounds close in on a value with the square root of the number of utterances.
        """
        if self.is_worse or self.is_within:
            return self.utterances
        distance = abs(self.allowed - self.value)
        reach = self.high - self.value if self.value <= self.allowed else self.value - self.low
        if distance * math.sqrt(MOST) <= reach * math.sqrt(self.utterances):
            return None
        count = self.utterances * (reach / distance) ** 2
        unit = 10 ** max(math.floor(math.log10(count)) + 1 - DIGITS, 0)
        return math.ceil(count / unit) * unit

    @property
    def conclusion(self) -> str:
        """What it means, in words."""
        if self.is_worse:
            return "shown to be more"
        if self.is_within:
            return "shown to be no more"
        settled = "no number of utterances like these would settle it"
        if self.needed is not None:
            settled = f"about {self.needed} utterances would settle it"
        return f"not shown to be more; {settled}"


def of_share(errors: Sequence[int], totals: Sequence[int], allowed: float) -> Evidence:
    """What utterances with so many changes among so many words each show; `allowed` is a fraction.

    A decoder that repeats itself can put in sixty words for three: no more of an utterance can have changed than all.

    Raises ScoringError for no words.
    """
    errors = _bounded(errors, totals)
    drawn, share = interval(errors, totals), wilson(sum(errors), sum(totals))
    value = sum(errors) / sum(totals)
    return Evidence(value, min(drawn.low, share.low), max(drawn.high, share.high), allowed, len(totals))


def of_excess(errors: Sequence[int], others: Sequence[int], totals: Sequence[int], allowed: float) -> Evidence:
    """What utterances show of how many more words changed than did for another reason; see `of_share`."""
    first, second = _bounded(errors, totals), _bounded(others, totals)
    return of_increase(paired_difference(first, second, totals), first, totals, allowed)


def of_increase(increase: Difference, changed: Sequence[int], totals: Sequence[int], allowed: float) -> Evidence:
    """What a paired difference of error rates shows; `allowed` is a fraction.

    Where no utterance has another number of errors there is nothing to draw from. No error rate can differ by more than
    the share of the words that `changed`: its upper bound is then that of the difference.
    """
    low, high = increase.low, increase.high
    if low == high == 0.0:
        high = wilson(sum(changed), sum(totals)).high
        low = -high
    return Evidence(increase.value, low, high, allowed, len(totals))


def wilson(hits: int, total: int) -> Interval:
    """Wilson's 95 % bounds of a share of which `hits` among `total` were seen; more than all count as all."""
    hits, square = min(hits, total), DEVIATIONS**2
    middle = (hits + square / 2) / (total + square)
    reach = DEVIATIONS / (total + square) * math.sqrt(hits * (total - hits) / total + square / 4)
    return Interval(max(middle - reach, 0.0), min(middle + reach, 1.0))


def _bounded(errors: Sequence[int], totals: Sequence[int]) -> list[int]:
    return [min(count, max(words, 1)) for count, words in zip(errors, totals, strict=True)]
