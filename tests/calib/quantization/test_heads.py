"""INT8 of classifiers and x-vectors: what their gates measure, and whole exports in both engines."""

import json
import math

import edgespeech_runtime
import numpy as np
import onnx
import pytest
from checkpoints import XVECTOR, make_checkpoint
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError, QualityError, QuantizationError
from edgespeech_calib.quantization import QuantizationOptions, export_int8, quantize, timing
from edgespeech_calib.quantization.judge.gate import Gate, JudgedUtterance, Speech
from edgespeech_calib.quantization.judge.outputs import Flags, Tokens, cosines
from edgespeech_calib.quantization.npu.bundle import export_npu
from edgespeech_calib.quantization.report.page import page
from edgespeech_calib.scoring.labelled_frames import LabelledFrames
from edgespeech_export import ExportOptions, export
from edgespeech_runtime.bundle.checksums import sha256
from edgespeech_runtime.bundle.manifest import MANIFEST_FILE, File
from onnx import numpy_helper
from tone_heads import build_head
from tones import spoken

CLASSES, FRAMES, XVECTORS = "audio-classification", "audio-frame-classification", "audio-xvector"
SAID = {"a": "AAB", "b": "BCB", "c": "CC"}  # whose labels are A, B and C
# Noise of a tiny network says nothing of real ones: what is allowed here is much.
GENEROUS = QuantizationOptions(max_wer_increase=99.0, max_changed_words=99.0)
SMALL = {
    "num_hidden_layers": 1,
    "hidden_size": 64,
    "intermediate_size": 128,
    "conv_dim": [16, 16],
    "conv_kernel": [10, 8],
    "conv_stride": [10, 8],
}
HEADS = {
    CLASSES: ("ForSequenceClassification", {"classifier_proj_size": 64}),
    FRAMES: ("ForAudioFrameClassification", {}),
    XVECTORS: ("ForXVector", XVECTOR),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(timing, "RUNS", 1)


@pytest.fixture
def changed(tmp_path):
    """`changed(task, change)`: a tone bundle of a head whose kernel was changed."""

    def make(task, change=lambda kernel: kernel):
        folder = tmp_path / f"changed-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        build_head("onnx", task, folder)
        path = folder / "single.onnx"
        model = onnx.load(path)
        kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "kernel")
        kernel.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(kernel)).astype(np.float32), "kernel"))
        onnx.save(model, path)
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        manifest["files"][path.name] = vars(File(path.stat().st_size, sha256(path)))
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest), encoding="utf-8")
        return folder

    return make


def judge(floating, folder, scratch, truth=None, allowed=0.1):
    """The verdict on a bundle; `truth` by name."""

    def utterances():
        for name, frames in SAID.items():
            if truth is None or name in truth:
                yield JudgedUtterance(name, spoken(frames), None if truth is None else truth[name])

    scratch.mkdir(exist_ok=True)
    gate = Gate(floating, Speech("tones", len(SAID), truth is not None, utterances), scratch, allowed)
    gate.prepare()
    return gate.judge(folder)


def swapped(kernel):
    return kernel[[1, 0, 2]]  # A and B


@pytest.mark.parametrize(("task", "total", "positions"), [(CLASSES, 3, 3), (FRAMES, 8, 8), (XVECTORS, 0, 3)])
def test_the_same_model_agrees(changed, tmp_path, task, total, positions):
    folder = changed(task)
    found = judge(folder, folder, tmp_path / "scratch")
    assert found.passed
    assert (found.words, found.differing.errors, found.positions) == (total, 0, positions)
    assert found.ratio == math.inf
    json.dumps(found.figures(), allow_nan=False)


def test_a_classifier_that_says_other_labels_fails(changed, tmp_path):
    found = judge(changed(CLASSES), changed(CLASSES, swapped), tmp_path / "scratch")
    assert not found.passed
    assert [(one.id, one.first, one.second) for one in found.changed] == [("a", "A", "B"), ("b", "B", "A")]
    figures = found.figures()
    assert (figures["measure"], figures["labels"], figures["differing"]) == ("agreement with the float model", 3, 2)
    assert "2 of 3 labels differ from the float model's" in found.sentence


def test_frames_are_compared_label_by_label(changed, tmp_path):
    found = judge(changed(FRAMES), changed(FRAMES, swapped), tmp_path / "scratch")
    assert not found.passed
    assert (found.differing.errors, found.words) == (5, 8)  # the frames of A and B
    assert found.changed[1].first == "B 0.00 to 0.02; C 0.02 to 0.04; B 0.04 to 0.06"


def test_embeddings_are_compared_by_their_noise(changed, tmp_path):
    floating, generator = changed(XVECTORS), np.random.default_rng(0)
    noise = generator.standard_normal((3, 1, 320))

    def noisy(level):
        return lambda kernel: kernel * (1 + level * noise)

    faint, loud = (judge(floating, changed(XVECTORS, noisy(level)), tmp_path / "scratch") for level in (0.05, 2.0))
    assert faint.passed
    assert not loud.passed
    assert "20 needed; cosine of embeddings with the float model's" in loud.sentence
    figures = loud.figures()
    assert 0 < figures["least_cosine"] <= figures["mean_cosine"] < 1
    assert "embeddings_db" in figures
    assert "logits_db" not in figures
    with edgespeech_runtime.load(floating) as model:
        first = np.stack([model.embed(spoken(frames)) for frames in SAID.values()])
    assert cosines(first, 3 * first) == pytest.approx(np.ones(3))
    assert cosines(first, 0 * first).tolist() == [0, 0, 0]


def test_labels_decide_where_they_are_known(changed, tmp_path):
    floating, other = changed(CLASSES), changed(CLASSES, swapped)
    found = judge(floating, other, tmp_path / "scratch", {"a": "B", "b": "A", "c": "C"})
    assert found.passed  # the other one is right
    figures = found.figures()
    assert (figures["measure"], figures["float_accuracy"], figures["accuracy"]) == ("accuracy", pytest.approx(1 / 3), 1)
    assert figures["drop"] == pytest.approx(-2 / 3)
    assert found.sentence.startswith("accuracy +66.67 percentage points")
    found = judge(floating, other, tmp_path / "scratch", {"a": "A", "b": "B", "c": "C"}, allowed=60.0)
    assert found.passed  # 2 of 3 are wrong, which three utterances do not show
    assert "a drop of 60 allowed: not shown to be more" in found.sentence
    both = {"a": "A", "b": "B"}  # without "c", which neither model mistakes
    assert judge(floating, other, tmp_path / "scratch", both, allowed=60.0).sentence.endswith("shown to be more")
    frames = {"a": "AAB", "b": "BCB", "c": "CC"}
    truth = {
        name: LabelledFrames.of(np.array([[label == one for label in "ABC"] for one in said]))
        for name, said in frames.items()
    }
    found = judge(changed(FRAMES), changed(FRAMES), tmp_path / "scratch", truth)
    assert found.passed
    assert found.figures()["accuracy"] == 1


def test_what_of_the_values_counts():
    values = np.array([[1.0, 4.0, 2.0], [-3.0, -1.0, 0.5]], np.float32)
    assert Tokens().centred(values).mean(-1) == pytest.approx([0, 0], abs=1e-6)
    assert np.array_equal(Flags().centred(values), values)
    one = np.array([[2.0]], np.float32)  # a model of one label
    assert np.array_equal(Tokens().centred(one), one)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """`checkpoint(task)`: a tiny one, made once."""
    made = {}

    def make(task):
        if task not in made:
            head, options = HEADS[task]
            folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
            made[task] = make_checkpoint(folder, head=head, weights="edgespeech", **SMALL, **options)
        return made[task]

    return make


@pytest.fixture(scope="module")
def float_head(checkpoint, tmp_path_factory):
    """`float_head(task, engine)`: the float bundle of a tiny checkpoint, made once."""
    made = {}

    def make(task, engine):
        if (task, engine) not in made:
            bundle = tmp_path_factory.mktemp("float") / engine
            export(checkpoint(task), bundle, ExportOptions(engine=engine))
            made[task, engine] = bundle
        return made[task, engine]

    return make


@pytest.fixture
def sounds(tmp_path, write):
    """A folder for each of a fresh head's two labels: a tone for each, swelling, and some noise."""
    generator, time = np.random.default_rng(0), np.arange(16000) / 16000
    for index in range(4):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 900 * (index % 2)) * time) * (1 + 0.5 * np.sin(20 * time + index))
        samples = (tone + 0.02 * generator.standard_normal(16000)).astype(np.float32)
        write(tmp_path / "sounds" / f"LABEL_{index % 2}" / f"{index}.wav", samples)
    return open_set(tmp_path / "sounds")


@pytest.mark.parametrize(
    ("task", "engine"),
    [
        pytest.param(CLASSES, "onnx", marks=pytest.mark.slow),
        (CLASSES, "openvino"),
        (FRAMES, "numpy"),
        pytest.param(XVECTORS, "onnx", marks=pytest.mark.slow),
    ],
)
def test_each_head_is_quantized_in_each_engine(task, engine, float_head, sounds, tmp_path):
    floating = float_head(task, engine)
    found = quantize(floating, tmp_path / "int8", sounds, GENEROUS)
    part = found.manifest.report["quantization"]
    assert (found.manifest.task, found.manifest.precision) == (task, "int8")
    assert part.get("integer_share", part.get("weights_share")) > 0.25
    assert part["gate"]["measure"] == "agreement with the float model"
    assert any(layer.precision == "int8" and layer.stage == "head" for layer in found.layers)
    text = page("int8", found)
    assert part["gate"]["result"].partition(";")[0][1:20] in text  # which begins a sentence there
    with edgespeech_runtime.load(tmp_path / "int8") as model, edgespeech_runtime.load(floating) as exact:
        assert 0 < model.self_check() <= found.manifest.golden.tolerance
        waveforms = [utterance.audio.read(16000)[: 16000 - 900 * index] for index, utterance in enumerate(sounds)]
        ask, reference = ((m.embed if task == XVECTORS else m.logits) for m in (model, exact))
        alone, together, right = (
            np.concatenate(x) for x in (list(map(ask, waveforms)), ask(waveforms), reference(waveforms))
        )
    for found_so in (alone, together):  # 10 dB, as the gate asks for
        assert np.square(found_so - right).sum() < 0.1 * np.square(right).sum()


def test_a_drop_of_accuracy_is_measured_on_labelled_recordings(float_head, sounds, tmp_path):
    floating = float_head(CLASSES, "onnx")
    found = quantize(floating, tmp_path / "int8", sounds, GENEROUS, sounds)
    gate = found.manifest.report["quantization"]["gate"]
    assert (gate["measure"], gate["utterances"], gate["speech"]) == ("accuracy", 4, "sounds")
    assert 0 <= gate["accuracy"] <= 1
    assert gate["drop"] == pytest.approx(gate["float_accuracy"] - gate["accuracy"])
    text = page("int8", found)
    assert "accuracy measured on 4 utterances" in text
    assert "wrong labels, %" in text


def test_what_cannot_end_well_is_refused_at_once(checkpoint, sounds, corpus, tmp_path):
    with pytest.raises(DataError, match="has no labels"):
        export_int8(checkpoint(CLASSES), tmp_path / "int8", sounds, evaluation_data=open_set(corpus))
    with pytest.raises(QuantizationError, match="INT8 for NPUs is made of models for ctc and encoder-decoder"):
        export_npu(checkpoint(CLASSES), tmp_path / "int8", sounds)
    with pytest.raises(QuantizationError, match="a model for audio-xvector gives no answers that could be right"):
        export_int8(checkpoint(XVECTORS), tmp_path / "int8", sounds, evaluation_data=sounds)
    assert not (tmp_path / "int8").exists()


def test_a_gate_that_is_too_narrow_fails_with_the_figures(float_head, sounds, tmp_path, monkeypatch):
    from edgespeech_calib.quantization.judge import agreement

    monkeypatch.setattr(agreement, "FLOOR", 300.0)
    with pytest.raises(QualityError, match=r"noise in the logits .* dB below them, 300 needed; . of 4 labels differ"):
        quantize(float_head(CLASSES, "onnx"), tmp_path / "int8", sounds, QuantizationOptions(revert=False))
    assert not (tmp_path / "int8").exists()
