"""The model of tones, opened once."""

import edgespeech_runtime
import pytest
import tone_bundles
from live_bundles import as_live


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    with edgespeech_runtime.load(as_live(tone_bundles.build("onnx", tmp_path_factory.mktemp("tones")))) as model:
        yield model
