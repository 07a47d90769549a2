"""Choosing of all combinations of parameters those that the usual run of the tests takes.

@pytest.mark.parametrize(("stack", "engine"), covering(USUAL, STACKS, ENGINES))
"""

from collections.abc import Collection, Iterable
from itertools import product
from typing import Any

import pytest


def covering(usual: Collection[tuple[Any, ...]], *values: Iterable[Any]) -> list[Any]:
    """Give all combinations of values; those that are not `usual` are marked slow, for `make test-all`."""
    combinations = list(product(*values))
    absent = [each for each in usual if each not in combinations]
    assert not absent, f"no such combinations: {absent}"
    return [pytest.param(*each, marks=() if each in usual else pytest.mark.slow) for each in combinations]
