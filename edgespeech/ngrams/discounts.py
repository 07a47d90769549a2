"""Discounts of modified Kneser-Ney smoothing (S. Chen and J. Goodman 1998, "An empirical study of smoothing techniques
for language modeling", equation 26).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgespeech.errors import InputError

FALLBACK = (0.5, 1.0, 1.5)  # lmplz's, where asked for
Discount = tuple[float, float, float]  # of n-grams that count 1, 2, and 3 or more


@dataclass
class Statistics:
    """Of one order: how many n-grams count 1, 2, 3 and 4 (`counts[1:5]`), how many there are, and how many remain."""

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(5, np.int64))
    ngrams: int = 0
    kept: int = 0

    def add(self, counted: npt.NDArray[np.int64], is_pruned: npt.NDArray[np.bool_]) -> None:
        """Add some n-grams."""
        self.counts += np.bincount(counted[counted < 5], minlength=5)
        self.ngrams += len(counted)
        self.kept += int((~is_pruned).sum())


def discount(statistics: Statistics, order: int, fallback: Discount | None) -> Discount:
    """The discounts of an order; `fallback` where the text does not allow an estimate, else InputError."""
    n = statistics.counts.astype(np.float32)
    reason = ""
    values: list[float] = []
    for count in (1, 2, 3):
        if n[count] == 0:
            reason = f"none of them counts {count}"
            break
        y = n[1] / (n[1] + 2 * n[2])
        values.append(float(count - (count + 1) * y * n[count + 1] / n[count]))
        if not 0 <= values[-1] <= count:
            reason = f"that of count {count} would be {values[-1]:.3g}"
            break
    if not reason:
        return values[0], values[1], values[2]
    if fallback is not None:
        return fallback
    raise InputError(
        f"the discounts of {order}-grams cannot be estimated, {reason}: the text is too short or repeats itself; "
        "take more text without repeated lines, or --discount-fallback"
    )


def parse_fallback(text: str) -> Discount:
    """Read `D1,D2,D3`; of fewer numbers the last holds for the rest. Raises InputError, which says what is expected."""
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        values = []
    padded = [*values, *values[-1:] * (3 - len(values))]
    if len(padded) != 3 or not all(0 <= value <= count for count, value in enumerate(padded, start=1)):
        raise InputError(
            f"discounts: expected up to three numbers of at most 1, 2 and 3, such as 0.5,1,1.5, got {text!r}"
        )
    return padded[0], padded[1], padded[2]
