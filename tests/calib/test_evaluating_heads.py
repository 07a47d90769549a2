"""Evaluating classifiers: bundles whose answers are known, checkpoints, what is refused."""

import json
from html.parser import HTMLParser

import edgespeech_runtime
import numpy as np
import pytest
from checkpoints import make_checkpoint
from edgespeech_calib import open_set
from edgespeech_calib.errors import DataError, EvaluationError
from edgespeech_calib.evaluation.evaluation import evaluate
from edgespeech_calib.evaluation.page import page
from edgespeech_calib.evaluation.systems import Options
from edgespeech_calib.quantization.judge.predictions import predict
from edgespeech_calib.scoring.measures import measure_of
from edgespeech_export import ExportOptions, export
from tone_heads import LABELS, build_head, build_static_head
from tones import FRAME, RATE, spoken

ONE_THREAD = Options(threads=1)
SECONDS = FRAME / RATE
SMALL = {"num_hidden_layers": 1, "conv_dim": [16, 12, 16], "conv_kernel": [10, 4, 3], "conv_stride": [5, 8, 8]}
# By name: the frames of a recording, its label, when which label holds in truth.
SAID = {
    "one": ("AAB", "A", [[0, 2, "A"], [2, 3, "B"]]),  # right in all frames
    "two": ("BBBC", "C", [[0, 3, "B"]]),  # a B in truth; C is heard in the last frame
    "three": ("CC", "C", [[0, 2, "C"], [0, 1, "A"]]),  # an A is missed in the first
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """`bundles(task)`: a bundle of the tones, made once."""
    made = {}

    def make(task):
        if task not in made:
            made[task] = build_head("onnx", task, tmp_path_factory.mktemp(task))
        return made[task]

    return make


@pytest.fixture
def data(tmp_path, write):
    """The recordings in a manifest, with an utterance of another label and one without any."""
    rows = []
    for name, (frames, label, segments) in SAID.items():
        write(tmp_path / "set" / f"{name}.wav", spoken(frames))
        times = [[start * SECONDS, end * SECONDS, true] for start, end, true in segments]
        rows.append({"path": f"{name}.wav", "label": label, "segments": times})
    write(tmp_path / "set" / "four.wav", spoken("AA"))
    rows += [{"path": "four.wav", "label": "X", "segments": [[0, 1, "X"]]}]
    write(tmp_path / "set" / "five.wav", spoken("AA"))
    rows += [{"path": "five.wav"}]
    path = tmp_path / "set" / "all.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return open_set(path)


def test_accuracy_over_utterances(bundles, data):
    found = evaluate([bundles("audio-classification")], data, ONE_THREAD)
    (result,) = json.loads(json.dumps(found.to_dict(), allow_nan=False))["systems"]
    assert (result["accuracy"], result["right"], result["wrong"]) == (pytest.approx(2 / 3), 2, 1)
    assert result["labels"] == list(LABELS)
    assert result["by_label"]["C"] == {"true": 2, "found": 1, "both": 1, "recall": 0.5, "precision": 1.0, "f1": 2 / 3}
    assert {"reference": "C", "hypothesis": "B", "utterances": 1} in result["confusions"]
    assert [(one["id"], one["hypothesis"], one["right"]) for one in result["results"]] == [
        ("one", "A", True),
        ("two", "B", False),
        ("three", "C", True),
    ]
    assert {one["id"] for one in result["skipped"]} == {"four", "five"}
    assert 0 <= result["accuracy_interval"]["low"] <= result["accuracy_interval"]["high"] <= 1
    assert result["real_time_factor"] > 0
    assert result["latency"][0]["utterances"] == 3
    assert "wer" not in result


@pytest.mark.parametrize("batch_size", [1, 3])
def test_accuracy_over_frames(bundles, data, batch_size):
    found = evaluate([bundles("audio-frame-classification")], data, ONE_THREAD, batch_size=batch_size)
    (result,) = found.to_dict()["systems"]
    assert (result["frames"], result["right"], result["accuracy"]) == (9, 7, pytest.approx(7 / 9))
    assert {name: (one["true"], one["found"], one["both"]) for name, one in result["by_label"].items()} == {
        "A": (3, 2, 2),
        "B": (4, 4, 4),
        "C": (2, 3, 2),
    }
    two = result["results"][1]
    assert two["hypothesis"] == [[0.0, 0.06, "B"], [0.06, 0.08, "C"]]
    assert (two["frames"], two["right"]) == (4, 3)


def with_facts(folder, **facts):
    """Change the manifest of a bundle."""
    manifest = folder / "edgespeech.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text(encoding="utf-8")), **facts}), encoding="utf-8")
    return folder


def test_a_classifier_without_one_right_answer_is_refused(data, tmp_path):
    (tmp_path / "several").mkdir()
    bundle = build_head("onnx", "audio-classification", tmp_path / "several")
    several = with_facts(bundle, problem_type="multi_label_classification")
    with pytest.raises(EvaluationError, match=r"multi_label_classification, which has no one right label .*logits"):
        evaluate([several], data, ONE_THREAD)
    with edgespeech_runtime.load(several) as model:
        prediction = predict(model, spoken("AAB").astype(np.float32))
        assert prediction.answer == ""
        assert prediction.outputs.name == "logits"
        np.testing.assert_array_equal(prediction.logits, model.logits(spoken("AAB"))[None])


def test_a_comparison_says_which_labels_changed(bundles, data, tmp_path):
    (tmp_path / "other").mkdir()
    other = with_facts(build_head("onnx", "audio-classification", tmp_path / "other"), labels=["C", "B", "A"])
    found = evaluate([bundles("audio-classification"), other], data, ONE_THREAD)
    (comparison,) = found.comparisons
    assert comparison.difference.value == pytest.approx(2 / 3 - 0)
    assert comparison.difference.low <= comparison.difference.value <= comparison.difference.high
    assert [(one.id, one.first, one.second) for one in comparison.changed] == [("one", "A", "C"), ("three", "C", "A")]
    assert comparison.changes == ("C to A", "A to C")
    assert "accuracy_difference" in found.to_dict()["comparisons"][0]


@pytest.mark.parametrize("task", ["audio-classification", "audio-frame-classification"])
def test_the_page_shows_what_was_wrong(bundles, data, task):
    text = page(evaluate([bundles(task)], data, ONE_THREAD))
    HTMLParser().feed(text)
    assert "Accuracy on" in text
    assert "By label" in text
    assert "66.67 %" in text or "77.78 %" in text
    assert ('<span class="substitution">C → B</span>' in text) is (task == "audio-classification")
    assert "word" not in text.partition("</style>")[2].replace('class="words"', "")


def test_what_is_too_long_for_fixed_shapes_is_left_out(tmp_path, write):
    folder = tmp_path / "static"
    folder.mkdir()
    write(tmp_path / "A" / "short.wav", spoken("AAAA"))
    write(tmp_path / "A" / "long.wav", spoken("A" * 11))
    static = build_static_head("audio-classification", folder)
    (result,) = evaluate([static], open_set(tmp_path), ONE_THREAD).systems
    assert [utterance.id for utterance in result.utterances] == ["A/short"]
    assert "3520 samples are too many; the model's graphs of fixed shapes hold 3200" in result.skipped[-1].reason


def test_sets_without_what_is_asked_for(bundles, corpus, data):
    with pytest.raises(DataError, match="has no labels, and accuracy cannot be measured without"):
        evaluate([bundles("audio-classification")], open_set(corpus), ONE_THREAD)
    with pytest.raises(DataError, match="does not say when which label holds"):
        evaluate([bundles("audio-frame-classification")], open_set(corpus), ONE_THREAD)


def test_a_set_of_other_labels(bundles, tmp_path, write):
    write(tmp_path / "yes" / "a.wav")
    with pytest.raises(DataError, match=r"knows none of the labels in .*\('yes'\); its own are 'A', 'B', 'C'"):
        evaluate([bundles("audio-classification")], open_set(tmp_path), ONE_THREAD)


def test_embeddings_are_refused(bundles, data):
    with pytest.raises(EvaluationError, match="which has no accuracy without pairs of recordings"):
        evaluate([bundles("audio-xvector")], data, ONE_THREAD)


def test_features_are_refused():
    with pytest.raises(EvaluationError, match="x is for feature-extraction: hidden states have no accuracy"):
        measure_of("x", "feature-extraction")


def test_models_for_different_tasks_are_not_compared(bundles, bundle, data):
    with pytest.raises(EvaluationError, match="answer different questions; compare models for one task"):
        evaluate([bundles("audio-classification"), bundle], data, ONE_THREAD)


def test_options_of_decoders_are_refused(bundles, data):
    with pytest.raises(EvaluationError, match="which is a model for audio-classification: it has no decoder"):
        evaluate([bundles("audio-classification")], data, Options(num_beams=2))


@pytest.mark.parametrize(
    "head", [pytest.param("ForSequenceClassification", marks=pytest.mark.slow), "ForAudioFrameClassification"]
)
def test_a_checkpoint_answers_as_its_bundle_does(head, tmp_path, write):
    names = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    checkpoint = make_checkpoint(tmp_path / "tiny", head=head, weights="edgespeech", **SMALL, **names)
    export(checkpoint, tmp_path / "bundle", ExportOptions())
    generator, rows = np.random.default_rng(0), []
    for index, length in enumerate((8000, 12000, 9100, 16000, 7000)):
        write(tmp_path / f"{index}.wav", 0.1 * generator.standard_normal(length).astype(np.float32))
        rows.append({"path": f"{index}.wav", "label": "abc"[index % 3], "segments": [[0.1, 0.3, "abc"[index % 3]]]})
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = open_set(tmp_path / "all.jsonl")
    found = evaluate([checkpoint, tmp_path / "bundle"], data, ONE_THREAD, batch_size=4)
    first, second = found.to_dict()["systems"]
    assert (first["kind"], first["engine"], first["labels"]) == ("checkpoint", "torch", ["a", "b", "c"])
    assert [one["hypothesis"] for one in first["results"]] == [one["hypothesis"] for one in second["results"]]
    assert first["accuracy"] == second["accuracy"]
    with edgespeech_runtime.load(tmp_path / "bundle") as model:
        waveforms = [utterance.audio.read(RATE) for utterance in data]
        expected = model.logits(waveforms)
    if head == "ForSequenceClassification":
        assert [one["hypothesis"] for one in first["results"]] == ["abc"[logits.argmax()] for logits in expected]
    else:
        assert first["frames"] == sum(len(logits) for logits in expected)
        seconds = [sum(end - start for start, end, _ in one["hypothesis"]) for one in first["results"]]
        assert seconds == pytest.approx([SECONDS * (logits > 0).sum() for logits in expected], abs=1e-3)
