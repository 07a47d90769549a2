"""Bundles of classifiers, classifiers of frames and x-vectors against transformers, in each engine.

transformers hears one utterance at a time: under padding it computes something else.
"""

from collections.abc import Callable
from typing import Any

import edgespeech_runtime
import numpy as np
import onnx
import pytest
from covering import covering
from edgespeech_runtime.bundle.contracts import HEADS
from exported_models import sounds
from kinds import ENGINES

TOLERANCE = 1e-4
SECOND = 16000  # samples
KINDS = ("class-35", "class-hubert", "class-unispeech", "frames", "xvector", "xvector-adapter")
PLAIN = ("class-35", "frames", "xvector")  # one of each head
HALVED = {("class-35", "onnx"), ("xvector", "openvino")}
CASES = [
    *((kind, engine) for kind in KINDS for engine in ("onnx", "numpy")),
    *((kind, "openvino") for kind in ("class-35", "xvector", "xvector-wavlm")),
    *(("xvector-wavlm", "onnx"), ("xvector-wavlm", "numpy")),
    *(("frames-unispeech-sat", "numpy"), ("class-data2vec", "onnx")),
]


def output(runtime: Any) -> Callable[..., Any]:
    """The method that gives what the graphs compute."""
    found: Callable[..., Any] = runtime.embed if runtime.manifest.task == "audio-xvector" else runtime.logits
    return found


def close(found: Any, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("kind", "engine"), CASES)
def test_outputs_are_the_references_alone_and_in_a_padded_batch(case_of: Any, kind: str, engine: str) -> None:
    case = case_of(kind, engine)
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        shortest, hop = runtime.manifest.audio.shortest, runtime.manifest.audio.hop
        edges = [shortest, shortest + 1, shortest + hop - 1, shortest + hop, shortest + hop + 1, 2 * SECOND]
        waveforms = sounds(*edges)
        expected = [case.expected(waveform) for waveform in waveforms]
        for waveform, values in zip(waveforms, expected, strict=True):
            close(output(runtime)(waveform), values)
        for found, values in zip(output(runtime)(waveforms, batch_size=len(edges)), expected, strict=True):
            close(found, values)
        same = sounds(SECOND, SECOND)
        for found, waveform in zip(output(runtime)(same), same, strict=True):  # of one length: nothing is masked
            close(found, case.expected(waveform))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_and_the_shortest_input_are_the_references(case_of: Any, kind: str) -> None:
    case = case_of(kind, "onnx")
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        facts, frames = runtime.manifest.audio, runtime.manifest.frames
    needed = 2 if kind.startswith("xvector") else 1
    assert frames.count(facts.shortest) == needed
    assert frames.count(facts.shortest - 1) == needed - 1
    assert facts.hop == 64 * (4 if kind == "xvector-adapter" else 1)
    assert np.isfinite(case.expected(sounds(facts.shortest)[0])).all()
    if kind.startswith("xvector"):  # of one frame there is no deviation
        with pytest.warns(UserWarning, match="degrees of freedom"):
            assert np.isnan(case.expected(sounds(facts.shortest - 1)[0])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_says_what_the_output_means(case_of: Any, kind: str) -> None:
    case = case_of(kind, "onnx")
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        manifest = runtime.manifest
        golden = np.load(case.bundle / manifest.golden.file)
    config = case.theirs.config
    if kind.startswith("xvector"):
        assert (manifest.task, manifest.dimensions, manifest.labels) == ("audio-xvector", 12, None)
    else:
        assert manifest.task == ("audio-classification" if "class" in kind else "audio-frame-classification")
        assert manifest.labels == tuple(config.id2label[index] for index in range(config.num_labels))
    name = HEADS[manifest.task].name
    assert set(golden) == {"input_values", name}
    assert golden[name].ndim == (3 if kind.startswith("frames") else 2)
    assert not (case.bundle / "vocab.txt").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_called_after_its_parameter(case_of: Any, kind: str) -> None:
    case = case_of(kind, "onnx")
    folded = {name.replace("parametrizations.weight.original1", "weight") for name in case.theirs.state_dict()}
    for name in ("single", "batch"):
        weights = onnx.load(case.bundle / f"{name}.onnx", load_external_data=False).graph.initializer
        matrices = {tensor.name for tensor in weights if len(tensor.dims) > 1 and min(tensor.dims) > 1}
        assert matrices <= {f"model.{path}" for path in folded}
        if kind.startswith("xvector"):
            expected = {f"model.tdnn.{layer}.kernel.weight" for layer in range(3)}
            assert expected | {"model.projector.weight", "model.feature_extractor.weight"} <= matrices


@pytest.mark.parametrize("kind", PLAIN)
def test_the_report_holds_what_was_measured(case_of: Any, kind: str) -> None:
    with edgespeech_runtime.load(case_of(kind, "onnx").bundle, threads=1) as runtime:
        parity, speed = runtime.manifest.report["parity"], runtime.manifest.report["speed"]
    assert 0 < parity["single"] <= parity["tolerance"] == TOLERANCE
    assert 0 < parity["batch"] <= TOLERANCE
    assert min(parity["frames"]) == (2 if kind == "xvector" else 1)
    if kind == "xvector":
        assert 0.999999 < parity["least_cosine"] < 1.000001
    else:
        assert parity["same_labels"]
    assert speed["seconds"] > 0


@pytest.mark.parametrize(("kind", "engine"), covering(HALVED, PLAIN, ENGINES))
def test_float16_halves_the_weights_and_keeps_the_result_close(case_of: Any, kind: str, engine: str) -> None:
    half, whole = (case_of(kind, engine, precision) for precision in ("float16", "float32"))
    (waveform,) = sounds(2 * SECOND)
    expected = half.expected(waveform)
    with edgespeech_runtime.load(half.bundle, threads=1) as runtime:
        difference = np.abs(output(runtime)(waveform) - expected).max()
        weights = runtime.manifest.graphs["single"].weights
    assert 1e-6 < difference < 5e-3 * np.abs(expected).max()
    assert (half.bundle / weights).stat().st_size < 0.75 * (whole.bundle / weights).stat().st_size


def test_what_the_device_says(case_of: Any) -> None:
    (waveform,) = sounds(SECOND)
    case = case_of("class-35", "onnx")
    logits = case.expected(waveform)
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        found = runtime.classify(waveform)
    assert found.label == case.theirs.config.id2label[int(logits.argmax())]
    odds = np.exp(logits - logits.max())
    np.testing.assert_allclose(found.score, odds.max() / odds.sum(), atol=1e-5)
    case = case_of("frames", "onnx")
    with edgespeech_runtime.load(case.bundle, threads=1) as runtime:
        probabilities = runtime.frames(waveform).probabilities
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-case.expected(waveform))), atol=1e-5)
