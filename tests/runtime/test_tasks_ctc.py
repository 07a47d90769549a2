"""A CTC model from waveform to words, on both engines; the tone language of conftest says what is right."""

import threading
from concurrent.futures import ThreadPoolExecutor

import edgespeech_runtime
import numpy as np
import pytest
from edgespeech_runtime import Transcript, load
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.errors import ArgumentError, AudioError, BundleError, EngineError, SelfCheckError

FRAME = 320


@pytest.fixture
def model(tiny_bundle, engine):
    with load(tiny_bundle(engine), threads=1) as loaded:
        yield loaded


def test_text_follows_the_ctc_rule(model, say):
    assert (
        model.transcribe(say("AA_AB|_|C")).text == "AAB  C"
    )  # a blank between two delimiters keeps both, as transformers does


def test_words_with_times_and_confidences(model, say):
    transcript = model.transcribe(say("..AAB.||.CC", tail=100))
    assert transcript.text == "AB C"
    assert [word.text for word in transcript.words] == ["AB", "C"]
    # hand-worked: a frame is 20 ms; AAB fills frames 2-4, CC frames 9-10, and the audio ends 100 samples later
    np.testing.assert_allclose([(word.start, word.end) for word in transcript.words], [(0.04, 0.10), (0.18, 0.22)])
    assert transcript.duration == pytest.approx((11 * 320 + 100) / 16000)
    assert all(0.99 < word.confidence <= 1 for word in transcript.words)
    assert transcript.characters == []


def test_confidence_is_the_mean_probability_over_the_emitting_frames(model, say):
    samples = say("AB")
    samples[FRAME:] *= 0.1  # a faint B
    (word,) = model.transcribe(samples).words
    logits = model.logits(samples).astype(np.float64)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert word.text == "AB"
    assert word.confidence == pytest.approx((probability[0, 5] + probability[1, 6]) / 2, abs=1e-6)
    assert word.confidence < 0.95


def test_characters_on_request(model, say):
    transcript = model.transcribe(say("A_A|B"), timestamps="char")
    assert [c.text for c in transcript.characters] == ["A", "A", "B"]  # the delimiter is none
    times = [(c.start, c.end) for c in transcript.characters]
    np.testing.assert_allclose(times, [(0, 0.02), (0.04, 0.06), (0.08, 0.10)])


def test_words_are_there_without_being_asked_for(model, say):
    assert model.transcribe(say("A|B")) == model.transcribe(say("A|B"), timestamps="word")


def test_silence_is_the_empty_transcript(model):
    assert model.transcribe(np.zeros(16000, np.float32)) == Transcript("", [], [], 1.0)


def test_special_tokens_are_left_out_of_text_and_words(model, say):
    transcript = model.transcribe(say("A?B<C"))
    assert transcript.text == "ABC"
    assert [word.text for word in transcript.words] == ["ABC"]


def test_an_end_never_lies_beyond_the_audio(tiny_bundle, rewrite, say):
    folder = tiny_bundle()
    rewrite(folder, lambda data: data["frames"].update(kernels=[320], paddings=[0]))
    samples = say("AB")
    with load(folder) as model:
        assert model.transcribe(samples).words[-1].end == pytest.approx(0.04)
        assert model.transcribe(samples).words[-1].end <= model.transcribe(samples).duration


@pytest.mark.parametrize(
    ("change", "text", "words"),
    [
        ({"lower_case": True}, "ab c", ["ab", "c"]),
        ({"replace_word_delimiter": "-"}, "AB-C", ["AB", "C"]),
        ({"word_delimiter": None}, "AB|C", ["A", "B", "|", "C"]),
        (
            {"word_delimiter": None, "tokens": ["<pad>", "<s>", "</s>", "<unk>", " ", "A", "B", "C"]},
            "AB C",
            list("ABC"),
        ),
    ],
)
def test_vocabulary_decides_how_tokens_are_written(tiny_bundle, rewrite, say, change, text, words):
    folder = tiny_bundle()
    rewrite(folder, lambda data: data["vocabulary"].update(change))
    with load(folder) as model:
        transcript = model.transcribe(say("AB|C"))
    assert (transcript.text, [word.text for word in transcript.words]) == (text, words)


def test_logits_equal_the_formula(model, say):
    samples = say("AB_C", tail=17)
    values = normalize(samples)
    time = np.arange(FRAME) / 16000
    tones = np.sin(2 * np.pi * 200 * np.arange(1, 9)[:, None] * time)
    expected = values[: 4 * FRAME].reshape(4, FRAME) @ tones.T * (20 / FRAME) + np.eye(8)[0] + np.mean(values**2)
    found = model.logits(samples)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_without_normalisation_the_graph_hears_the_samples(tiny_bundle, rewrite, say):
    folder = tiny_bundle()
    rewrite(folder, lambda data: data["audio"].update(normalize=False))
    with load(folder) as model:
        assert model.logits(say("A"))[0, 5] == pytest.approx(5.0 + 0.125, abs=1e-4)  # half of the gain, and the power


def test_text_as_it_comes_is_the_whole_text_once(model, say):
    pieces = []
    assert model.transcribe(say("AB|C"), on_text=pieces.append).text == "AB C"
    model.transcribe(np.zeros(16000, np.float32), on_text=pieces.append)  # nothing is said
    assert pieces == ["AB C"]
    with pytest.raises(ArgumentError, match="on_text takes one input at a time, got 2"):
        model.transcribe([say("A"), say("B")], on_text=pieces.append)


def test_padded_batches_equal_single_runs_in_input_order(model, say):
    spoken = ["A", "AB|C", "C_C_C|A", "BB", "A|B|C|A|B|C|A|B|C", "C", "AB|C", "B_B", "ABCABCABC", "A"]
    samples = [say(text, tail=7 * i) for i, text in enumerate(spoken)]
    batched = model.logits(samples, batch_size=4)
    assert [len(logits) for logits in batched] == [len(text) for text in spoken]
    for alone, together in zip((model.logits(s) for s in samples), batched, strict=True):
        np.testing.assert_allclose(together, alone, atol=1e-4)
    texts = [t.text for t in model.transcribe(samples)]
    assert texts == [model.transcribe(s).text for s in samples]
    assert texts[:3] == ["A", "AB C", "CCC A"]


def test_the_batch_graph_is_loaded_when_it_is_first_needed(tiny_bundle, say):
    model = load(tiny_bundle())
    model.transcribe([say("AB"), say("BA")])  # one length: the single graph serves them
    assert set(model._graphs._loaded) == {"single"}
    model.transcribe([say("ABCA"), say("BAC")])
    assert set(model._graphs._loaded) == {"single", "batch"}


def test_without_a_batch_graph_lengths_run_one_by_one(tiny_bundle, rewrite, say):
    folder = tiny_bundle()
    rewrite(folder, lambda data: data["graphs"].pop("batch"))
    with load(folder) as model:
        assert [t.text for t in model.transcribe([say("AB"), say("B|A"), say("C")])] == ["AB", "B A", "C"]


def test_one_load_serves_eight_threads(model, say):
    inputs = [say("A" * (i % 5 + 1) + "|B" * (i % 3) + "_C", tail=i) for i in range(24)]
    groups = [inputs[i : i + 3] for i in range(0, 24, 3)]
    expected = [[model.logits(s) for s in group] for group in groups]
    barrier = threading.Barrier(8)

    def work(index):
        barrier.wait()
        return [(model.logits(groups[index]), [model.logits(s) for s in groups[index]]) for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    for wanted, rounds in zip(expected, results, strict=True):
        for batched, singly in rounds:
            for want, together, alone in zip(wanted, batched, singly, strict=True):
                np.testing.assert_array_equal(alone, want)
                np.testing.assert_allclose(together, want, atol=1e-4)


def test_results_are_not_changed_by_later_calls(model, say):
    first = model.logits(say("ABC"))
    before = first.copy()
    model.logits(say("CBA"))
    np.testing.assert_array_equal(first, before)


def test_an_empty_list_gives_an_empty_list(model):
    assert model.transcribe([]) == []
    assert model.logits([]) == []


def test_a_list_of_one_gives_a_list_of_one(model, say):
    assert [t.text for t in model.transcribe([say("A")])] == ["A"]
    assert [t.text for t in model.transcribe((say("A"),))] == ["A"]


def test_a_bad_item_of_a_list_is_named(model, say, tmp_path):
    with pytest.raises(AudioError, match=r"audio\[1\]: 10 samples \(0.6 ms\) .* at least 320 samples \(20.0 ms\)"):
        model.transcribe([say("A"), say("A")[:10]])
    with pytest.raises(FileNotFoundError, match=r"audio\[1\]: .*gone.wav: no such audio file"):
        model.transcribe([say("A"), tmp_path / "gone.wav"])


@pytest.mark.parametrize("samples", [1, 319])
def test_shorter_than_one_frame_is_refused(model, samples):
    with pytest.raises(AudioError, match="this model needs at least 320 samples"):
        model.transcribe(np.ones(samples, np.float32))


@pytest.mark.parametrize(("samples", "frames"), [(320, 1), (639, 1), (640, 2), (641, 2)])
def test_lengths_at_the_edges(model, samples, frames):
    noise = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    assert model.logits(noise).shape == (frames, 8)
    longer = np.random.default_rng(0).standard_normal(int(samples * 1.3)).astype(np.float32)
    np.testing.assert_allclose(model.logits([longer, noise])[1], model.logits(noise), atol=1e-4)


@pytest.mark.parametrize("timestamps", ["words", "", True, 1])
def test_unknown_timestamps_are_refused(model, say, timestamps):
    with pytest.raises(ArgumentError, match="timestamps: expected None, 'word' or 'char', got"):
        model.transcribe(say("A"), timestamps=timestamps)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, None, True])
def test_impossible_batch_sizes_are_refused(model, say, batch_size):
    with pytest.raises(ArgumentError, match="batch_size: expected a whole number of at least 1, got"):
        model.transcribe(say("A"), batch_size=batch_size)


def test_self_check_passes_where_the_engine_computes_right(model):
    assert 0 <= model.self_check() <= 1e-4


def test_self_check_fails_where_the_logits_differ(tiny_bundle, rewrite):
    folder = tiny_bundle()
    with np.load(folder / "golden.npz") as arrays:
        values, logits = arrays["input_values"], arrays["logits"]
    np.savez(folder / "golden.npz", input_values=values, logits=logits + 0.01)
    rewrite(folder, lambda data: None)
    with pytest.raises(SelfCheckError, match=r"the logits differ by 0.01 where 0.0001 is allowed"):
        load(folder).self_check()
    np.savez(folder / "golden.npz", input_values=values, logits=logits * np.nan)
    rewrite(folder, lambda data: None)
    with pytest.raises(SelfCheckError, match="differ by nan"):
        load(folder).self_check()
    np.savez(folder / "golden.npz", input_values=values, logits=logits[:, :-1])
    rewrite(folder, lambda data: None)
    with pytest.raises(SelfCheckError, match=r"expected logits \[1, 4, 8\], got \[1, 5, 8\]"):
        load(folder).self_check()


@pytest.mark.parametrize("content", [b"no archive", b"PK\x03\x04 cut off", b""])
def test_self_check_with_an_unreadable_golden_file(tiny_bundle, rewrite, content):
    folder = tiny_bundle()
    (folder / "golden.npz").write_bytes(content)
    rewrite(folder, lambda data: None)
    with pytest.raises(BundleError, match=r"golden.npz cannot be read .*: export the bundle again"):
        load(folder).self_check()


def test_logits_that_do_not_fit_the_manifest_are_refused(tiny_bundle, rewrite, say):
    folder = tiny_bundle()
    rewrite(folder, lambda data: data["vocabulary"]["tokens"].append("D"))
    with pytest.raises(EngineError, match=r"expected logits \[1, 1, 9\] by the manifest, got \[1, 1, 8\]"):
        load(folder).transcribe(say("A"))


def test_logits_that_are_no_numbers_are_refused(tiny_bundle, rewrite, say):
    folder = tiny_bundle()
    weights = np.frombuffer((folder / "weights.data").read_bytes(), np.float32)
    (folder / "weights.data").write_bytes((weights * np.nan).tobytes())
    rewrite(folder, lambda data: None)
    with load(folder, self_check="never") as model:
        for audio in (say("A"), [say("AB"), say("C")]):
            with pytest.raises(EngineError, match="the engine computed NaN logits"):
                model.transcribe(audio)
        with pytest.raises(SelfCheckError):
            model.self_check()


def test_a_closed_model_says_so(tiny_bundle, engine, say):
    model = load(tiny_bundle(engine))
    model.close()
    model.close()
    with pytest.raises(EngineError, match="the model is closed: load it again"):
        model.transcribe(say("A"))


def test_manifest_is_readable(model, engine):
    assert (model.manifest.task, model.manifest.engine) == ("ctc", engine)
    assert isinstance(model, edgespeech_runtime.CtcModel)
