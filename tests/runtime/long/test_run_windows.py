"""Windows of a recording, run with the statistics of the whole, on bundles whose graphs see each frame by itself."""

import warnings

import numpy as np
import pytest
import tone_heads
from edgespeech_runtime import AudioWarning, load
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.errors import AudioError
from tones import FRAME, spoken

TASK = "audio-frame-classification"


def recording() -> np.ndarray:
    """Loud, then quiet: windows that are normalised by themselves come out otherwise."""
    samples = spoken("ABCABC")
    samples[len(samples) // 2 :] *= 0.1
    return samples


def windows(samples: np.ndarray) -> list[np.ndarray]:
    return [samples[: 2 * FRAME], samples[2 * FRAME : 4 * FRAME], samples[4 * FRAME : 5 * FRAME], samples[5 * FRAME :]]


def statistics(model, samples):
    gatherer = model._runner.gatherer()
    gatherer.add(samples)
    return gatherer.statistics()


@pytest.mark.parametrize("engine", ["onnx", "openvino", "numpy", "static"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.filterwarnings("ignore:this bundle has no graph for windows")
def test_frames_are_those_of_the_whole_in_order(head_bundle, engine, batch_size):
    samples = recording()
    with load(head_bundle(TASK, engine)) as model:
        found = model._runner.run_windows(windows(samples), statistics(model, samples), batch_size)
    assert [len(frames) for frames in found] == [2, 2, 1, 1]
    np.testing.assert_allclose(np.concatenate(found), tone_heads.scores(normalize(samples)), atol=1e-4)


def test_a_bundle_that_may_need_the_graph_warns_once(head_bundle, rewrite):
    samples = recording()
    folder = head_bundle(TASK)
    with load(folder) as model, warnings.catch_warnings():
        warnings.simplefilter("error")  # one layer, which no norm follows
        model._runner.run_windows(windows(samples), statistics(model, samples))
    rewrite(folder, lambda data: data["frames"].update(kernels=[FRAME, 1], strides=[FRAME, 1], paddings=[0, 0]))
    with load(folder) as model:
        with pytest.warns(AudioWarning, match="no graph for windows"):
            model._runner.run_windows(windows(samples), statistics(model, samples))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model._runner.run_windows(windows(samples), statistics(model, samples))
    rewrite(folder, lambda data: data.update(context={"reach": 3, "group_norm": False}))
    with load(folder) as model, warnings.catch_warnings():
        warnings.simplefilter("error")
        model._runner.run_windows(windows(samples), statistics(model, samples))
        assert model.manifest.reach == 3


def test_pooled_outputs_are_of_each_window_by_the_level_of_the_whole(head_bundle):
    samples = recording()
    with load(head_bundle("audio-classification")) as model:
        found = model._runner.run_windows(windows(samples), statistics(model, samples))
    by_frame = tone_heads.scores(normalize(samples))
    np.testing.assert_allclose(found[1], by_frame[2:4].mean(0), atol=1e-4)


def test_a_window_that_no_bucket_holds_is_refused_before_anything_runs(head_bundle):
    samples = np.concatenate([recording(), recording()])
    with load(head_bundle("audio-classification", "static")) as model, pytest.raises(AudioError, match="bucket"):
        model._runner.run_windows([samples], statistics(model, samples))
    with load(head_bundle(TASK, "static")) as model:  # frames come in windows of the windows
        (found,) = model._runner.run_windows([samples], statistics(model, samples))
    np.testing.assert_allclose(found, tone_heads.scores(normalize(samples)), atol=1e-4)
