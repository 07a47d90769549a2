"""Hours for heads: frames of windows joined, and what is averaged where there is one output; `tone_heads` says what is
right.
"""

import numpy as np
import pytest
from edgespeech_runtime import load
from edgespeech_runtime.audio import AudioBlocks
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.manifest import Features
from edgespeech_runtime.errors import AudioError
from edgespeech_runtime.tasks.recordings import parts
from tone_heads import FEATURES, LABELS, TASKS, build_head, scores
from tones import FRAME, RATE, spoken

CLASSES, FRAMES, EMBEDDING = TASKS


@pytest.fixture(scope="module")
def recording():
    """100 s of tones, of which no two parts are alike, and some samples more."""
    letters = np.random.default_rng(0).choice(list("ABC..."), 5000, p=[0.4, 0.1, 0.05, 0.15, 0.15, 0.15])
    return spoken("".join(letters), tail=77)


@pytest.mark.parametrize("engine", ["onnx", "static"])
def test_frames_are_those_of_the_whole(head_bundle, engine, recording):
    with load(head_bundle(FRAMES, engine), threads=1, self_check="never") as model:
        found = model.frames(recording)
        np.testing.assert_allclose(model.logits(recording), scores(normalize(recording)), rtol=1e-4, atol=1e-4)
        short, long = model.frames([recording[: 10 * FRAME], AudioBlocks(recording, RATE)])
    assert found.duration == len(recording) / RATE
    assert found.probabilities.shape == (len(recording) // FRAME, len(LABELS))
    np.testing.assert_array_equal(long.probabilities, found.probabilities)
    assert len(short.probabilities) == 10


@pytest.mark.parametrize("task", [CLASSES, EMBEDDING])
def test_outputs_of_parts_are_averaged_by_their_frames(head_bundle, task, recording):
    """A mean over frames with linear layers behind it: the mean of all frames."""
    with load(head_bundle(task), threads=1, self_check="never") as model:
        expected = scores(normalize(recording), task)
        if task == EMBEDDING:
            np.testing.assert_allclose(model.embed(recording), expected, rtol=1e-4, atol=1e-4)
            return
        np.testing.assert_allclose(model.logits(recording), expected, rtol=1e-4, atol=1e-4)
        found = model.classify(recording)
        assert found.label == "A"
        assert found.parts == 4
        assert found.to_dict()["parts"] == 4
        assert "parts" not in model.classify(recording[: 30 * RATE]).to_dict()


def test_graphs_of_fixed_shapes_still_refuse_what_is_too_long(head_bundle, recording):
    with (
        load(head_bundle(CLASSES, "static"), threads=1, self_check="never") as model,
        pytest.raises(AudioError, match=r"expected at most 0.2 s of audio.* got 100"),
    ):
        model.classify(recording)


def test_features_of_several_layers(tmp_path, recording):
    folder = build_head("onnx", FEATURES, tmp_path, features=Features(1, (0, 2, 7)))
    with load(folder, threads=1, self_check="never") as model:
        found = model.features(recording)
        np.testing.assert_allclose(found[..., 0].T, scores(normalize(recording)), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(model.features(recording, layer=2), found[1])
        (prediction,) = model.predict([recording])
    np.testing.assert_allclose(prediction.logits, found[..., 0].T)


@pytest.mark.parametrize(
    ("samples", "sizes"), [(100, [100]), (101, [50, 51]), (250, [100, 75, 75]), (201, [100, 50, 51])]
)
def test_parts_are_of_like_sizes(samples, sizes):
    values = np.arange(samples, dtype=np.float32)
    found = list(parts(np.split(values, [7, 30, 31]), 104, 5))
    assert [len(part) for part in found] == sizes
    np.testing.assert_array_equal(np.concatenate(found), values)
