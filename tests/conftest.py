"""What the runtime remembers between runs belongs to the user: tests remember elsewhere."""

import os
from collections.abc import Iterator

import pytest
from edgespeech_runtime.cache import VARIABLE


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder of this run's own, for child processes too."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ[VARIABLE]
    else:
        os.environ[VARIABLE] = before
