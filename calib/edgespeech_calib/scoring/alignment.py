"""Aligning two sequences of words or characters with the fewest errors.

Several alignments may have the fewest; they differ in how many errors count as substitutions. `WORDS` decides as NIST's
sclite does, on which published counts rest; jiwer and rapidfuzz take any of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Kind = Literal["hit", "substitution", "insertion", "deletion"]


@dataclass(frozen=True)
class Costs:
    """What an error costs."""

    substitution: int
    insertion: int
    deletion: int


# sclite's weights: https://github.com/usnistgov/SCTK/blob/master/doc/sclite.htm. A substitution costs more than either
# of the others and less than both, so of alignments with equally many errors the one with the most hits is taken.
WORDS = Costs(substitution=4, insertion=3, deletion=3)
# The fewest errors, whatever they are (Levenshtein's distance), as every character error rate is counted; of those the
# alignment with the most hits.
CHARACTERS = Costs(substitution=2**20 + 1, insertion=2**20, deletion=2**20)


@dataclass(frozen=True)
class Pair:
    """A place in an alignment; None where nothing stands in one of the two."""

    kind: Kind
    reference: str | None
    hypothesis: str | None


def align(reference: Sequence[str], hypothesis: Sequence[str], costs: Costs = WORDS) -> tuple[Pair, ...]:
    """Pair two sequences so that the errors cost the least.

    Of equally cheap ways, seen from the end, a pair is taken first, then an insertion, then a deletion.
    """
    if list(reference) == list(hypothesis):
        return tuple(Pair("hit", token, token) for token in reference)
    totals = _totals(reference, hypothesis, costs)
    row, column = len(reference), len(hypothesis)
    pairs: list[Pair] = []
    while row or column:
        here = totals[row, column]
        if row and column:
            said, answered = reference[row - 1], hypothesis[column - 1]
            is_hit = said == answered
            if here == totals[row - 1, column - 1] + (0 if is_hit else costs.substitution):
                row, column = row - 1, column - 1
                pairs.append(Pair("hit" if is_hit else "substitution", said, answered))
                continue
        if column and here == totals[row, column - 1] + costs.insertion:
            column -= 1
            pairs.append(Pair("insertion", None, hypothesis[column]))
        else:
            row -= 1
            pairs.append(Pair("deletion", reference[row], None))
    return tuple(reversed(pairs))


def _totals(reference: Sequence[str], hypothesis: Sequence[str], costs: Costs) -> npt.NDArray[np.int64]:
    """[reference + 1, hypothesis + 1]: least cost of the first so many tokens of each."""
    ids: dict[str, int] = {}
    said, answered = (
        np.array([ids.setdefault(token, len(ids)) for token in tokens], np.int64) for tokens in (reference, hypothesis)
    )
    insertions = np.arange(len(hypothesis) + 1) * costs.insertion
    totals = np.empty((len(reference) + 1, len(hypothesis) + 1), np.int64)
    totals[0] = insertions
    for row, token in enumerate(said, start=1):
        above = totals[row - 1]
        best = above + costs.deletion
        np.minimum(best[1:], above[:-1] + costs.substitution * (answered != token), out=best[1:])
        # An insertion comes from the left: best[j] = min over i <= j of best[i] + (j - i) * insertion.
        totals[row] = np.minimum.accumulate(best - insertions) + insertions
    return totals
