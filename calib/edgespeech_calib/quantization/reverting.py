"""Rank and revert: the search for the fewest layers in float with which a bundle passes its gate.

It knows no engine and no model; layers are names in an order, the worst first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

TryT = TypeVar("TryT")

GIVE_BACK = 2  # tries to need fewer layers once enough are in float; each costs as much as the others


@dataclass(frozen=True)
class Step(Generic[TryT]):
    """One try: how many of the ranked layers were in float, whether that was enough, and what came of it."""

    count: int
    passed: bool
    result: TryT


def search(
    ranked: Sequence[str], attempt: Callable[[Sequence[str]], tuple[bool, TryT]], revert: bool
) -> list[Step[TryT]]:
    """Try with 0, 1, 3, 7, ... and at last all of the ranked layers in float until a try passes, then with fewer.

    Args:
        ranked: names of layers, the first to go back to float first.
        attempt: tries with these in float; says whether that is enough.
        revert: whether any may go back to float; without, there is one try.

    Returns:
        The tries in their order. The one to keep is the passing one with the lowest count, if any passed.
    """
    steps: list[Step[TryT]] = []

    def run(count: int) -> bool:
        steps.append(Step(count, *attempt(ranked[:count])))
        return steps[-1].passed

    count, more = 0, 1
    while not run(count):
        if not revert or count == len(ranked):
            return steps
        count, more = min(count + more, len(ranked)), 2 * more
    low = steps[-2].count if len(steps) > 1 else count  # did not pass
    for _ in range(GIVE_BACK):
        if count - low < 2:
            break
        middle = (low + count) // 2
        low, count = (low, middle) if run(middle) else (middle, count)
    return steps


def best(steps: Sequence[Step[TryT]]) -> Step[TryT] | None:
    """Return the passing try with the fewest layers in float."""
    return min((step for step in steps if step.passed), key=lambda step: step.count, default=None)
