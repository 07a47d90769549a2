"""The model of tones, opened once."""

import json

import edgespeech_runtime
import pytest
import tone_bundles
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE


@pytest.fixture(scope="session")
def tone_bundle(tmp_path_factory):
    """A bundle whose windows need no statistics of the whole."""
    folder = tone_bundles.build("onnx", tmp_path_factory.mktemp("tones"))
    manifest = folder / MANIFEST_FILE
    facts = {**json.loads(manifest.read_text(encoding="utf-8")), "context": {"reach": 0, "group_norm": False}}
    manifest.write_text(json.dumps(facts), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def model(tone_bundle):
    with edgespeech_runtime.load(tone_bundle) as model:
        yield model
