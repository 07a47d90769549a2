"""Bundles open unchanged in transformers.js, in Node, and give there what the runtime gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest

pytestmark = pytest.mark.devices
MODELS = {"ctc-en": "fp32", "ctc-en-int8": "q8"}
KINDS = ("wav2vec2-group", "wav2vec2-adapters", "hubert-batch-norm", "unispeech-stable", "wavlm-distances")
ENGINE = "onnx"  # see `usual`

Node = Callable[..., dict[str, Any]]
Find = Callable[[str], Path]


def noise(*seconds: float) -> list[np.ndarray]:
    """Of different loudness."""
    generator = np.random.default_rng(7)
    return [(0.1 * generator.standard_normal(int(16000 * length))).astype(np.float32) for length in seconds]


def asked(node: Node, bundle: Path, task: str, waveforms: list[np.ndarray], **options: Any) -> list[Any]:
    """What transformers.js answers; prints its version."""
    found = node(
        "transformers.mjs", waveforms, task=task, models=str(bundle.parent), model=bundle.name, options=options
    )
    print(f"transformers.js {found['version']}: {task} of {len(waveforms)} recordings by {bundle.name}")
    answers: list[Any] = found["answers"]
    return answers


@pytest.mark.parametrize("name", MODELS)
def test_recordings_get_the_same_text(
    node: Node, bundle_of: Find, speech: list[np.ndarray], text_of: Callable[..., list[str]], name: str
) -> None:
    expected = text_of(bundle_of(name), speech)
    assert len(set(expected)) == len(speech)
    answers = asked(node, bundle_of(name), "automatic-speech-recognition", speech)
    assert [answer["text"] for answer in answers] == expected


@pytest.mark.parametrize("name", MODELS)
def test_the_format_may_be_named(
    node: Node, bundle_of: Find, speech: list[np.ndarray], text_of: Callable[..., list[str]], name: str
) -> None:
    bundle, some = bundle_of(name), speech[:1]
    (answer,) = asked(node, bundle, "automatic-speech-recognition", some, dtype=MODELS[name])
    assert [answer["text"]] == text_of(bundle, some)


@pytest.mark.parametrize("kind", KINDS)
def test_every_family_gives_the_same_logits(node: Node, bundle_of: Find, kind: str) -> None:
    waveforms = noise(0.4, 1.3)
    with edgespeech_runtime.load(bundle_of(kind)) as model:
        expected = model.logits(waveforms)
    for answer, logits in zip(asked(node, bundle_of(kind), "logits", waveforms), expected, strict=True):
        np.testing.assert_allclose(answer["logits"][0], logits, atol=1e-4)


@pytest.mark.parametrize("kind", ["class-35", "class-hubert", "class-unispeech"])
def test_classes_have_the_same_scores(node: Node, bundle_of: Find, kind: str) -> None:
    (waveform,) = noise(0.8)
    with edgespeech_runtime.load(bundle_of(kind)) as model:
        expected = [label.score for label in model.classify(waveform).scores[:5]]
    (answer,) = asked(node, bundle_of(kind), "audio-classification", [waveform])
    np.testing.assert_allclose([label["score"] for label in answer], expected, atol=1e-5)


def test_frames_have_the_same_scores(node: Node, bundle_of: Find) -> None:
    (waveform,) = noise(0.8)
    with edgespeech_runtime.load(bundle_of("frames")) as model:
        expected = model.logits(waveform)
    (answer,) = asked(node, bundle_of("frames"), "audio-frame-classification", [waveform])
    np.testing.assert_allclose(answer["logits"][0], expected, atol=1e-4)


def test_speakers_have_the_same_embedding(node: Node, bundle_of: Find) -> None:
    (waveform,) = noise(0.8)
    with edgespeech_runtime.load(bundle_of("xvector-wavlm")) as model:
        expected = model.embed(waveform)
    (answer,) = asked(node, bundle_of("xvector-wavlm"), "audio-xvector", [waveform])
    np.testing.assert_allclose(answer["embeddings"][0], expected, atol=1e-4)
    assert np.shape(answer["logits"]) == np.shape(answer["embeddings"])
