"""Silero's voice activity detector, given by path: the file of its own package where that is installed, and others."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from edgespeech_runtime.audio import read_audio
from edgespeech_runtime.errors import ArgumentError
from edgespeech_runtime.long.speech import SpeechDetector, speech_spans
from edgespeech_runtime.long.vad import open_vad
from places import SAMPLES

RATE = 16000


@pytest.fixture(scope="module", params=["silero_vad.onnx", "silero_vad_16k_op15.onnx", "silero_vad_half.onnx"])
def silero(request):
    """The file of the package `silero-vad`."""
    spec = importlib.util.find_spec("silero_vad")
    files = [] if spec is None else list(Path(spec.origin).parent.rglob(request.param))
    if not files:
        pytest.skip(f"needs {request.param} of the package silero-vad: pip install --no-deps silero-vad")
    return files[0]


@pytest.fixture(scope="module")
def sentence():
    path = SAMPLES.parent / "sentence.flac"
    if not path.is_file():
        pytest.skip(f"needs the recording {path}")
    return read_audio(path, RATE)


def test_speech_is_told_from_noise_and_tones(silero, sentence):
    noise = np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32) * 0.05
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * RATE) / RATE).astype(np.float32)
    samples = np.concatenate([noise, tone, sentence, noise])
    found = speech_spans(samples, RATE, activity=open_vad(silero, RATE)())
    begin, end = 10 * RATE, 10 * RATE + len(sentence)
    assert found
    assert begin - 0.5 * RATE < found[0].start < begin + RATE
    assert end - RATE < found[-1].end < end + 0.5 * RATE


def test_blocks_of_any_size_give_the_same(silero, sentence):
    make = open_vad(silero, RATE)
    whole = speech_spans(sentence, RATE, activity=make())
    detector, found = SpeechDetector(RATE, activity=make()), []
    for at in range(0, len(sentence), 700):
        found += detector.feed(sentence[at : at + 700])
    assert found + detector.finish() == whole != []


def test_half_the_rate(silero, sentence):
    if silero.name != "silero_vad.onnx":
        pytest.skip("this file is for 16 kHz alone")
    soxr = pytest.importorskip("soxr")
    halved = soxr.resample(sentence, RATE, RATE // 2)
    found = speech_spans(halved, RATE // 2, activity=open_vad(silero, RATE // 2)())
    same = speech_spans(sentence, RATE, activity=open_vad(silero, RATE)())
    seconds = [
        [(span.start / rate, span.end / rate) for span in spans] for rate, spans in ((8000, found), (16000, same))
    ]
    assert len(found) == len(same)
    np.testing.assert_allclose(seconds[0], seconds[1], atol=0.3)


def test_version_4_has_two_states(tmp_path):
    """A graph with its inputs, which calls loud windows speech, and counts them in a state."""
    onnx = pytest.importorskip("onnx")
    tensor, node, floats = onnx.helper.make_tensor_value_info, onnx.helper.make_node, onnx.TensorProto.FLOAT
    nodes = [
        node("Abs", ["input"], ["size"]),
        node("ReduceMean", ["size"], ["mean"], axes=[1], keepdims=1),
        node("Mul", ["mean", "ten"], ["output"]),
        node("Add", ["h", "ten"], ["hn"]),
        node("Add", ["c", "ten"], ["cn"]),
    ]
    inputs = [tensor("input", floats, [None, None]), tensor("sr", onnx.TensorProto.INT64, [])]
    inputs += [tensor(name, floats, [2, None, 64]) for name in "hc"]
    outputs = [tensor("output", floats, [None, 1]), *(tensor(name, floats, [2, None, 64]) for name in ("hn", "cn"))]
    ten = onnx.numpy_helper.from_array(np.float32(10), "ten")
    graph = onnx.helper.make_graph(nodes, "version4", inputs, outputs, [ten])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 16)], ir_version=8)
    onnx.save_model(model, tmp_path / "v4.onnx")
    samples = np.zeros(6 * RATE, np.float32)
    samples[2 * RATE : 3 * RATE] = 0.1
    activity = open_vad(tmp_path / "v4.onnx", RATE)()
    (span,) = speech_spans(samples, RATE, activity=activity)
    assert (span.start / RATE, span.end / RATE) == pytest.approx((1.75, 3.25), abs=0.04)
    assert activity._states["h"].max() == 10 * -(-len(samples) // 512)


def test_files_that_are_no_detector(tmp_path, tiny_bundle):
    other = tiny_bundle("onnx") / "single.onnx"
    text = tmp_path / "text.onnx"
    text.write_text("no graph")
    cases = {
        tmp_path / "nope.onnx": f"vad: {tmp_path / 'nope.onnx'}: no such file; expected Silero's ONNX file",
        tmp_path: f"vad: {tmp_path}: no such file",
        other: f"vad: {other} is not Silero's ONNX file: expected the inputs input, sr and state (or h and c)",
        text: f"vad: {text} is not Silero's ONNX file: onnxruntime cannot load text.onnx: ",
    }
    for file, message in cases.items():
        with pytest.raises(ArgumentError) as caught:
            open_vad(file, RATE)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match=r"^vad: expected the path of Silero's ONNX file, got bool"):
        open_vad(True, RATE)
    with pytest.raises(ArgumentError, match=r"^vad: Silero's model takes 16000 and 8000 Hz, this model takes 22050 Hz"):
        open_vad(other, 22050)
