"""A model of tones: what it says is certain, and every time can be worked out by hand."""

import pytest
from edgespeech_runtime import load
from tone_bundles import build


@pytest.fixture(scope="package")
def model(tmp_path_factory):
    with load(build("onnx", tmp_path_factory.mktemp("tones")), threads=1) as loaded:
        yield loaded
