"""Checkpoints of each kind, and their bundles, exported once per run of the tests."""

from typing import Any

import pytest
from exported_kinds import Kinds


@pytest.fixture(scope="session")
def checkpoint_of(exported_kinds: Kinds) -> Any:
    """Make the checkpoint of a kind, once."""
    return exported_kinds.checkpoint


@pytest.fixture(scope="session")
def case_of(exported_kinds: Kinds) -> Any:
    """Export the bundle of a kind for an engine, once."""
    return exported_kinds.case
