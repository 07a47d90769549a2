"""Bundles of speech encoder-decoders, exported once per run of the tests."""

from collections.abc import Iterator

import pytest
import torch
from exported_models import Pairs


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    """`pairs.pair("bart", "onnx")`: see `exported_models`."""
    made = Pairs(tmp_path_factory.mktemp("encoder-decoders"))
    yield made
    made.close()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Torch alone on one thread: the models are tiny."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
