"""Rank and revert: the search for the layers that must be in float for a bundle to pass its gate.

It knows no engine and no model; layers are names in an order, the worst first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

TryT = TypeVar("TryT")

GIVE_BACK = 2  # tries to need fewer layers once enough are in float; each costs as much as the others


@dataclass(frozen=True)
class Step(Generic[TryT]):
    """One try: how many layers were in float, whether that was enough, and what came of it."""

    count: int
    passed: bool
    result: TryT


def search(
    together: Sequence[str],
    ranked: Sequence[str],
    attempt: Callable[[Sequence[str]], tuple[bool, TryT]],
    revert: bool,
) -> list[Step[TryT]]:
    """Try with none in float; with those that go `together`; with the first 1, 3, 7, ... of the others beside them.

    Once a try passes, it is tried without those that go together, and then with fewer of the others.

    Args:
        together: names of layers of which one in float is of no use without the rest.
        ranked: names of the others, the first to go back to float first.
        attempt: tries with these in float; says whether that is enough.
        revert: whether any may go back to float; without, there is one try.

    Returns:
        The tries in their order. The one to keep is the passing one with the fewest layers in float, if any passed.
    """
    steps: list[Step[TryT]] = []

    def run(names: Sequence[str]) -> bool:
        steps.append(Step(len(names), *attempt(names)))
        return steps[-1].passed

    if run([]) or not revert or (together and run(together)):
        return steps
    low, count, more, begin = 0, min(1, len(ranked)), 2, tuple(together)
    while not run([*begin, *ranked[:count]]):
        if count == len(ranked):
            return steps
        low, count, more = count, min(count + more, len(ranked)), 2 * more
    if together and run(ranked[:count]):
        begin = ()
    for _ in range(GIVE_BACK):
        if count - low < 2:
            break
        middle = (low + count) // 2
        low, count = (low, middle) if run([*begin, *ranked[:middle]]) else (middle, count)
    return steps


def best(steps: Sequence[Step[TryT]]) -> Step[TryT] | None:
    """Return the passing try with the fewest layers in float."""
    return min((step for step in steps if step.passed), key=lambda step: step.count, default=None)
