"""What a bundle may say of the edges of words, and what becomes of it."""

import json

import pytest
from edgespeech_runtime import load
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, Manifest, WordEdges
from edgespeech_runtime.errors import BundleError
from tone_bundles import build
from tones import spoken


def test_words_with_nothing_around_them_are_wider_by_what_the_bundle_says(tmp_path):
    """One tone from beginning to end: loudness does not say where the words are."""
    bundle = build("onnx", tmp_path)
    said = spoken("_____A_____|_____B_____")
    with load(bundle) as plain:
        narrow = plain.align(said, "a b").words
    data = json.loads((bundle / MANIFEST_FILE).read_text(encoding="utf-8"))
    assert data["word_edges"] is None
    data["word_edges"] = {"start": 0.02, "end": 0.04}
    (bundle / MANIFEST_FILE).write_text(json.dumps(data), encoding="utf-8")
    with load(bundle) as corrected:
        wide = corrected.align(said, "a b").words
    assert wide[0].start == pytest.approx(narrow[0].start - 0.02)
    assert wide[1].start == pytest.approx(narrow[1].start - 0.02)
    assert wide[1].end == pytest.approx(narrow[1].end + 0.04)


def test_bundles_without_them_are_read_and_others_refused(tmp_path):
    data = json.loads((build("onnx", tmp_path) / MANIFEST_FILE).read_text(encoding="utf-8"))
    del data["word_edges"]
    assert Manifest.from_json(json.dumps(data)).word_edges is None
    data["word_edges"] = {"start": 0.015, "end": 0.075}
    assert Manifest.from_json(json.dumps(data)).word_edges == WordEdges(0.015, 0.075)
    data["word_edges"] = {"start": 15, "end": 75}
    with pytest.raises(BundleError, match=r"word_edges.start: expected at most 1 second, got 15"):
        Manifest.from_json(json.dumps(data))
