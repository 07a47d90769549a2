"""What is made once per run of the tests: a cache of their own, and bundles that tests of several packages read.

What the runtime remembers between runs belongs to the user: tests remember elsewhere.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from edgespeech_runtime.bundle.cache import VARIABLE
from usual import is_usual

if TYPE_CHECKING:  # they import torch, which not all tests need
    from exported_kinds import Kinds
    from exported_models import Pairs


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `usual` leaves to `make test-all`; a module's `ENGINE` is that of all its tests."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        engine = getattr(getattr(item, "module", None), "ENGINE", None)
        if callspec is not None and not is_usual(callspec.params, engine):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what is made once in this run, by any of its processes; see `sharing`."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def traces(shared: Path) -> Path:
    """The folder of graphs that were traced in this run; see `tracing`."""
    folder = shared / "traces"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def traced_once(traces: Path) -> Iterator[None]:
    """Graphs of one form are traced once in this run, where a test that was chosen exports; see `tracing`."""
    if "edgespeech_export" not in sys.modules:
        yield
        return
    from tracing import tracing_once

    with tracing_once(traces):
        yield


@pytest.fixture(scope="session")
def exported_kinds(shared: Path) -> "Kinds":
    """`exported_kinds.case("wav2vec2-group", "onnx")`: see the module of that name."""
    from exported_kinds import Kinds

    return Kinds(shared)


@pytest.fixture(scope="session")
def pairs(shared: Path) -> Iterator["Pairs"]:
    """`pairs.pair("bart", "onnx")`: see `exported_models`."""
    from exported_models import Pairs

    made = Pairs(shared)
    yield made
    made.close()
