"""Classifiers and models that embed, from waveform to result, on every engine; `tone_heads` says what is right."""

import edgespeech_runtime
import numpy as np
import pytest
import soundfile
from edgespeech_runtime import Classification, FrameLabels, Label, Segment, load
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.errors import AudioError, BundleError, EngineError, SelfCheckError
from tone_heads import LABELS, TASKS, scores
from tones import FRAME, RATE

CLASSES, FRAMES, EMBEDDING = TASKS
METHODS = dict(zip(TASKS, ("classify", "frames", "embed"), strict=True))
SAID = ["AB", "AAABC", "CCAABBCC", "BBB", "A.C.A.C.A", "AB"]  # in frames


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


@pytest.fixture(params=["onnx", "openvino", "numpy", "static"])
def engine(request):
    pytest.importorskip({"onnx": "onnxruntime", "static": "onnxruntime"}.get(request.param, request.param))
    return request.param


@pytest.fixture
def opened(head_bundle, engine):
    """`opened(task)`: its model on each engine in turn, and with graphs of fixed shapes."""
    models = []

    def make(task):
        models.append(load(head_bundle(task, engine), threads=1, self_check="never"))
        return models[-1]

    yield make
    for model in models:
        model.close()


def heard(model, audio, **options):
    return getattr(model, METHODS[model.manifest.task])(audio, **options)


def values(result):
    """What of a result are numbers, in the order of the labels."""
    if isinstance(result, Classification):
        return np.array([{each.label: each.score for each in result.scores}[label] for label in LABELS])
    return result.probabilities if isinstance(result, FrameLabels) else result


def test_the_task_decides_the_class(opened, task):
    names = {CLASSES: "ClassificationModel", FRAMES: "FrameClassificationModel", EMBEDDING: "EmbeddingModel"}
    model = opened(task)
    assert type(model) is getattr(edgespeech_runtime, names[task])
    others = {"transcribe", "generate", *METHODS.values()} - {METHODS[task]}
    assert not any(hasattr(model, name) for name in others)
    assert hasattr(model, "logits") == (task != EMBEDDING)


def test_a_class_is_the_softmax_of_the_logits(opened, say):
    model, samples = opened(CLASSES), say("AABC", tail=17)
    logits = scores(normalize(samples), CLASSES)
    found = model.classify(samples)
    assert model.labels == LABELS
    assert (found.label, found.score) == (found.scores[0].label, found.scores[0].score)
    assert found.label == "A"
    assert [each.score for each in found.scores] == sorted((each.score for each in found.scores), reverse=True)
    assert {each.label for each in found.scores} == set(LABELS)
    np.testing.assert_allclose(values(found), np.exp(logits) / np.exp(logits).sum(), atol=1e-5)
    assert sum(each.score for each in found.scores) == pytest.approx(1)
    assert model.logits(samples).dtype == np.float32
    np.testing.assert_allclose(model.logits(samples), logits, atol=1e-4)


@pytest.mark.parametrize(
    ("problem_type", "expected"),
    [
        ("single_label_classification", lambda logits: np.exp(logits) / np.exp(logits).sum()),
        ("multi_label_classification", lambda logits: 1 / (1 + np.exp(-logits))),
        ("regression", lambda logits: logits),
    ],
)
def test_what_scores_mean_is_said_by_the_problem_type(head_bundle, rewrite, say, problem_type, expected):
    folder, samples = head_bundle(CLASSES), say("AABC", tail=17)
    rewrite(folder, lambda data: data.update(problem_type=problem_type))
    with load(folder) as model:
        found = model.classify(samples)
    assert found.label == "A"
    np.testing.assert_allclose(values(found), expected(scores(normalize(samples), CLASSES)), atol=1e-4)


def test_of_equals_the_lowest_id_wins(head_bundle, rewrite, say):
    folder = head_bundle(CLASSES)
    with load(folder, self_check="never") as model:
        model._run = lambda waveforms, batch_size: [np.array([2.0, 3.0, 3.0], np.float32)]
        assert [each.label for each in model.classify(say("A")).scores] == ["B", "C", "A"]


def test_scores_of_extreme_logits_are_finite(head_bundle, say):
    with load(head_bundle(CLASSES), self_check="never") as model:
        model._run = lambda waveforms, batch_size: [np.array([-3e4, 3e4, 0], np.float32)]
        assert model.classify(say("A")).scores == (Label("B", 1.0), Label("C", 0.0), Label("A", 0.0))
    with load(head_bundle(FRAMES), self_check="never") as model:
        model._run = lambda waveforms, batch_size: [np.array([[-3e4, 3e4, 0]], np.float32)]
        np.testing.assert_array_equal(model.frames(say("A")).probabilities, [[0, 1, 0.5]])


def test_frames_are_sigmoids_each_by_itself(opened, say):
    model = opened(FRAMES)
    samples = say("A.BA", tail=100) + say("C.C.", tail=100)  # two at once in the first frame
    logits = scores(normalize(samples))
    found = model.frames(samples)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-logits)), atol=1e-5)
    np.testing.assert_allclose(model.logits(samples), logits, atol=1e-4)
    assert (found.labels, found.hop, found.duration) == (LABELS, 0.02, (4 * FRAME + 100) / RATE)
    times = [(each.label, each.start, each.end) for each in found.segments()]
    expected = [("A", 0, 0.02), ("C", 0, 0.02), ("B", 0.04, 0.06), ("C", 0.04, 0.06), ("A", 0.06, 0.08)]
    assert times == [(label, pytest.approx(start), pytest.approx(end)) for label, start, end in expected]


def test_an_embedding_is_what_the_graph_computes(opened, say):
    model, samples = opened(EMBEDDING), say("AABC", tail=17)
    found = model.embed(samples)
    assert (found.dtype, found.shape, model.dimensions) == (np.float32, (3,), 3)
    np.testing.assert_allclose(found, scores(normalize(samples), EMBEDDING), atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_lists_give_lists_that_equal_the_single_runs(opened, task, say, batch_size):
    model = opened(task)
    samples = [say(text, tail=31 * index) for index, text in enumerate(SAID)]
    together = heard(model, samples, batch_size=batch_size)
    assert isinstance(together, list)
    for found, alone in zip(together, samples, strict=True):
        np.testing.assert_allclose(values(found), values(heard(model, alone)), atol=1e-4)
    (alone,) = heard(model, (samples[0],))
    np.testing.assert_array_equal(values(alone), values(heard(model, samples[0])))
    assert heard(model, []) == []


def test_padded_batches_run_in_the_graph_for_them(head_bundle, task, say):
    with load(head_bundle(task), self_check="never") as model:
        heard(model, [say("AAAB"), say("AAB")])
        assert set(model._graphs._loaded) == {"single", "batch"}


def test_without_a_batch_graph_lengths_run_one_by_one(head_bundle, rewrite, task, say):
    folder = head_bundle(task)
    with load(folder) as model:
        expected = [values(each) for each in heard(model, [say("AAAB"), say("AAB")])]
    rewrite(folder, lambda data: data["graphs"].pop("batch"))
    with load(folder) as model:
        for found, wanted in zip(heard(model, [say("AAAB"), say("AAB")]), expected, strict=True):
            np.testing.assert_allclose(values(found), wanted, atol=1e-4)


def test_files_and_rates(opened, task, say, tmp_path):
    pytest.importorskip("soxr")
    model, path = opened(task), tmp_path / "a.wav"
    soundfile.write(path, say("AABB"), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(values(heard(model, path)), values(heard(model, say("AABB"))))
    slower = heard(model, say("AABB"), sampling_rate=RATE / 2)  # as long again
    assert values(slower).shape == ((8, 3) if task == FRAMES else (3,))


def test_results_are_not_changed_by_later_calls(opened, task, say):
    model = opened(task)
    first = values(heard(model, say("ABC"))).copy()
    kept = heard(model, say("ABC"))
    heard(model, say("CBA"))
    np.testing.assert_array_equal(values(kept), first)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_shortest(opened, task, say, frames):
    model, least = opened(task), 2 if task == EMBEDDING else 1
    if frames >= least:
        assert np.isfinite(values(heard(model, say("A" * frames)))).all()
    with pytest.raises(AudioError, match=rf"this model needs at least {least * FRAME} samples"):
        heard(model, say("A" * least)[:-1])


def test_long_audio_runs_in_windows_where_frames_are_asked_for(head_bundle, say):
    said = "AABC.C" * 5  # the longest graph hears 10 frames
    with load(head_bundle(FRAMES, "static")) as fixed, load(head_bundle(FRAMES)) as free:
        samples = say(said, tail=77)
        np.testing.assert_allclose(fixed.frames(samples).probabilities, free.frames(samples).probabilities, atol=1e-5)
        assert fixed.frames(samples).segments() == [
            Segment(each.label, each.start, each.end, pytest.approx(each.score, abs=1e-5))
            for each in free.frames(samples).segments()
        ]


@pytest.mark.parametrize("task", [CLASSES, EMBEDDING])
def test_what_is_of_the_whole_is_refused_for_audio_that_no_graph_holds(head_bundle, task, say):
    with load(head_bundle(task, "static")) as model:
        heard(model, say("A" * 10))
        with pytest.raises(AudioError, match=r"^expected at most 0\.2 s of audio, .*: cut it at a pause, or export"):
            heard(model, say("A" * 10, tail=1))
        model._graphs.run = None  # nothing runs before the long one is found
        with pytest.raises(AudioError, match=r"^audio\[1\]: expected at most 0\.2 s of audio"):
            heard(model, [say("AA"), say("A" * 11)])


def test_self_check(opened, task):
    assert opened(task).self_check() <= 1e-4


def test_a_self_check_that_fails_says_what_differs(head_bundle, rewrite, task):
    folder, name = head_bundle(task), "embeddings" if task == EMBEDDING else "logits"
    with np.load(folder / "golden.npz") as arrays:
        given, expected = arrays["input_values"], arrays[name]
    np.savez(folder / "golden.npz", **{"input_values": given, name: expected[..., ::-1]})
    rewrite(folder, lambda data: None)
    answers = {CLASSES: ", and 1 of 1 labels:", FRAMES: ", and 2 of 3 labels:", EMBEDDING: ":"}[task]  # AAB is CCB
    with pytest.raises(SelfCheckError, match=rf"the {name} differ by .* where 0.0001 is allowed{answers} do not trust"):
        load(folder)


def test_shapes_that_do_not_fit_the_manifest_are_refused(head_bundle, rewrite, task, say):
    folder = head_bundle(task)
    more = {"dimensions": 4} if task == EMBEDDING else {"labels": [*LABELS, "D"]}
    rewrite(folder, lambda data: data.update(more))
    shape = "1, 2" if task == FRAMES else "1"
    said = rf"\[{shape}, 4\] by the manifest, got \[{shape}, 3\]"
    with load(folder, self_check="never") as model, pytest.raises(EngineError, match=said):
        heard(model, say("AB"))


def test_numbers_that_are_none_are_refused(head_bundle, rewrite, task, say):
    folder, name = head_bundle(task), "embeddings" if task == EMBEDDING else "logits"
    weights = np.frombuffer((folder / "weights.data").read_bytes(), np.float32)
    (folder / "weights.data").write_bytes((weights * np.nan).tobytes())
    rewrite(folder, lambda data: None)
    with load(folder, self_check="never") as model:
        for audio in (say("AB"), [say("AAB"), say("AA")]):
            with pytest.raises(EngineError, match=f"the engine computed NaN {name}"):
                heard(model, audio)
        with pytest.raises(SelfCheckError):
            model.self_check()


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        (CLASSES, {"labels": None}, "labels: a bundle of the task 'audio-classification' must have it"),
        (FRAMES, {"labels": []}, "labels: expected at least one"),
        (FRAMES, {"labels": "AB"}, "labels: expected a list, got 'AB'"),
        (CLASSES, {"labels": ["a", 1]}, r"labels\[1\]: expected a text, got 1"),
        (CLASSES, {"dimensions": 3}, "dimensions: a bundle of the task 'audio-classification' must not have it"),
        (CLASSES, {"problem_type": "other"}, "problem_type: expected one of single_label_classification, .*'other'"),
        (FRAMES, {"problem_type": "regression"}, "problem_type: .*'audio-frame-classification' must not have it"),
        (EMBEDDING, {"labels": ["a"]}, "labels: a bundle of the task 'audio-xvector' must not have it"),
        (EMBEDDING, {"dimensions": None}, "dimensions: a bundle of the task 'audio-xvector' must have it"),
        (EMBEDDING, {"dimensions": 0}, "dimensions: expected a positive number, got 0"),
        (EMBEDDING, {"dimensions": True}, "dimensions: expected a whole number, got True"),
        (EMBEDDING, {"task": CLASSES}, "labels: a bundle of the task 'audio-classification' must have it"),
        (FRAMES, {"task": "ctc"}, "vocabulary: a bundle of the task 'ctc' must have it"),
        (CLASSES, {"vocabulary": {"tokens": ["a"], "blank": 0, "word_delimiter": None}}, "vocabulary: .* must not"),
    ],
)
def test_manifests_that_contradict_themselves(head_bundle, rewrite, task, change, message):
    folder = head_bundle(task)
    rewrite(folder, lambda data: data.update(change))
    with pytest.raises(BundleError, match=f"^edgespeech.json: {message}"):
        load(folder)


def test_an_embedding_needs_two_frames(head_bundle, rewrite):
    folder = head_bundle(EMBEDDING)
    rewrite(folder, lambda data: data["audio"].update(shortest=2 * FRAME - 1))
    said = "audio.shortest: 639 samples give 1 frame by the layers in frames, 'audio-xvector' needs 2"
    with pytest.raises(BundleError, match=said):
        load(folder)


def test_a_graph_that_no_audio_fits_is_refused(head_bundle, rewrite):
    folder = head_bundle(EMBEDDING, "static")
    rewrite(folder, lambda data: data["audio"].update(shortest=5 * FRAME))
    with pytest.raises(BundleError, match=r"static.buckets: 1280 samples are fewer than audio.shortest, 1600"):
        load(folder)


def test_a_closed_model_says_so(opened, task, say):
    model = opened(task)
    model.close()
    with pytest.raises(EngineError, match="the model is closed: load it again"):
        heard(model, say("AB"))
