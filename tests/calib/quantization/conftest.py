"""Tiny float bundles, exported once per run of the tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from exported_kinds import Kinds
from exported_models import Pairs


@pytest.fixture(scope="session")
def tiny_checkpoint(exported_kinds: Kinds) -> Callable[[str], Path]:
    """Make the checkpoint of a kind, once."""
    return exported_kinds.checkpoint


@pytest.fixture(scope="session")
def float_bundle(exported_kinds: Kinds, pairs: Pairs) -> Callable[[str, str], Path]:
    """`float_bundle(kind, engine)`: of a kind, or "encoder-decoder"; each exported once."""

    def make(kind: str, engine: str) -> Path:
        return (
            pairs.pair("bart", engine).bundle if kind == "encoder-decoder" else exported_kinds.case(kind, engine).bundle
        )

    return make
