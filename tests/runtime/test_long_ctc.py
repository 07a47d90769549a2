"""Long recordings by CTC models: windows decoded as one, segments on the way, silence that is not run."""

import numpy as np
import pytest
from edgespeech_runtime import AudioWarning, TextSegment, load
from edgespeech_runtime.audio import AudioBlocks
from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.beam_search import BeamSearch
from edgespeech_runtime.errors import ArgumentError, AudioError
from edgespeech_runtime.tasks.transcribing import GreedyText, Pauses, SearchText
from tones import FRAME, RATE, TOKENS, spoken

VOCABULARY = Vocabulary(TOKENS, 0, "|", " ", (0, 1, 2, 3), False)
SECOND = RATE // FRAME  # frames


@pytest.fixture
def model(tiny_bundle, rewrite):
    """One whose bundle says what windows of it must respect."""
    folder = tiny_bundle()
    rewrite(folder, lambda data: data.update(context={"reach": 0, "group_norm": False}))
    with load(folder, threads=1) as loaded:
        yield loaded


def written(seed: int, words: int) -> str:
    """Frames of random words, each letter for some frames, a delimiter behind each word."""
    random = np.random.default_rng(seed)
    letters = ["_" + letter * int(random.integers(1, 9)) for letter in random.choice(list("ABC"), 5 * words).tolist()]
    return "".join(letter + ("__|_" if at % 5 == 4 else "") for at, letter in enumerate(letters))


def noise(seconds: float) -> np.ndarray:
    """Of whole frames: what follows is in phase."""
    return np.random.default_rng(0).normal(0, 1e-3, round(seconds * SECOND) * FRAME).astype(np.float32)


def counted(model):
    """Count the samples that a model runs."""
    counts, run = [], model._runner.run_windows

    def counting(windows, statistics):
        counts.extend(len(window) for window in windows)
        return run(windows, statistics)

    model._runner.run_windows = counting
    return counts


@pytest.mark.parametrize("options", [{}, {"beams": 8}, {"beams": 8, "n_best": 3}, {"timestamps": "char"}])
def test_two_minutes_are_read_as_one(model, options):
    """All that one whole pass gives, to the times of words; tones need no context."""
    samples = spoken(written(0, 180))
    assert len(samples) > 100 * RATE
    counts = counted(model)
    found = model.transcribe(samples, skip_silence=False, **options)
    assert max(counts) <= 30 * RATE
    (logits,) = model._run([samples], 1)
    expected = model._begun(
        model._search(model._decoding({k: v for k, v in options.items() if k != "timestamps"})),
        "timestamps" in options,
        options.get("n_best"),
    )
    expected.advance(logits)
    whole = expected.finish(len(samples) / RATE)
    assert found.text == whole.text
    assert len(found.words) == 180
    assert [(word.text, word.start, word.end) for word in found.words] == [
        (word.text, word.start, word.end) for word in whole.words
    ]
    assert found.characters == whole.characters
    assert [each.text for each in found.alternatives] == [each.text for each in whole.alternatives]
    assert found.duration == len(samples) / RATE


def test_silence_is_left_out_and_no_word_changes(model):
    """Ten sentences, 40 % of all are pauses: the same words at the same times in two thirds of the work."""
    parts = []
    for seed in range(10):
        parts += [spoken(written(seed, 8)), noise(len(spoken(written(seed, 8))) * 2 / 3 / RATE)]
    samples = np.concatenate(parts)
    counts = counted(model)
    found = model.transcribe(samples)
    run = sum(counts)
    counts.clear()
    everything = model.transcribe(samples, skip_silence=False)
    times = [(word.text, word.start, word.end) for word in everything.words]
    assert [(word.text, word.start, word.end) for word in found.words] == times
    assert len(times) == 80
    assert "  " not in found.text
    assert run <= sum(counts) / 1.5
    assert [segment.text for segment in found.segments] == [
        model.transcribe(spoken(written(seed, 8))).text for seed in range(10)
    ]


def test_what_is_told_on_the_way(model):
    samples = np.concatenate([each for seed in range(6) for each in (spoken(written(seed, 20)), noise(3))])
    pieces, segments, progress = [], [], []
    told = {"on_text": pieces.append, "on_segment": segments.append, "on_progress": lambda *at: progress.append(at)}
    found = model.transcribe(samples, **told)
    assert segments == found.segments
    assert len(segments) == 6
    assert "".join(pieces) == found.text
    assert [word for segment in segments for word in segment.words] == found.words
    assert progress == sorted(progress)
    assert progress[-1] == (found.duration, found.duration)
    assert {total for _, total in progress} == {len(samples) / RATE}


def test_a_short_recording_tells_the_same(model, say):
    segments, progress = [], []
    found = model.transcribe(say("AB|C"), on_segment=segments.append, on_progress=lambda *at: progress.append(at))
    assert segments == found.segments == [TextSegment("AB C", 0.0, found.words[-1].end, found.words)]
    assert progress == [(found.duration, found.duration)]


def test_short_and_long_ones_in_one_list(model, say):
    long = spoken(written(1, 100))
    found = model.transcribe([say("AB|C"), long, AudioBlocks(say("C"), RATE)])
    assert [each.text for each in found] == ["AB C", model.transcribe(long).text, "C"]
    with pytest.raises(ArgumentError, match="on_segment takes one input at a time, got 2"):
        model.transcribe([long, long], on_segment=print)
    broken = long.copy()
    broken[-1] = np.nan
    with pytest.raises(AudioError, match=r"audio\[1\]: the samples are not all finite"):
        model.transcribe([say("A"), broken])


def test_what_was_said_before_an_error_is_told(model):
    samples = np.concatenate([each for seed in range(9) for each in (spoken(written(seed, 20)), noise(2))])
    samples[-RATE] = np.inf
    segments = []
    with pytest.raises(AudioError, match="not all finite"):
        model.transcribe(AudioBlocks(samples, RATE), on_segment=segments.append)
    whole = model.transcribe(samples[: -2 * RATE])
    said = " ".join(segment.text for segment in segments)
    assert len(segments) >= 7  # the last block is lost
    assert whole.text.startswith(said)
    samples[0] = np.nan
    with pytest.raises(AudioError, match="not all finite"):
        model.transcribe(samples)


def test_a_bundle_that_says_nothing_of_windows_warns_once(tiny_bundle, rewrite):
    samples, folder = spoken(written(0, 120)), tiny_bundle()
    layers = {"kernels": [FRAME, 1], "strides": [FRAME, 1], "paddings": [0, 0]}
    rewrite(folder, lambda data: data["frames"].update(layers))
    with load(folder, threads=1) as model:
        with pytest.warns(AudioWarning, match="no graph for windows of long audio"):
            expected = model.transcribe(samples)
        assert model.transcribe(samples) == expected


def test_contradictory_options(model, say):
    with pytest.raises(ArgumentError, match="vad says which silence to skip"):
        model.transcribe(say("A"), vad="silero_vad.onnx", skip_silence=False)


@pytest.mark.parametrize("delimiter", ["|", None])
@pytest.mark.parametrize("seed", range(4))
def test_greedy_words_that_are_given_early_stay(seed, delimiter):
    """Pieces of any size give the words of the whole, in order, and none twice."""
    vocabulary = Vocabulary(TOKENS, 0, delimiter, " ", (0, 1, 2, 3), False)
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (2000, len(TOKENS))).astype(np.float32)
    logits[np.arange(2000), np.repeat(random.integers(0, len(TOKENS), 500), 4)] += 4
    whole = GreedyText(vocabulary, 0.02)
    whole.advance(logits)
    expected = whole.finish(40.0)
    text, early = GreedyText(vocabulary, 0.02), []
    for piece in np.split(logits, np.sort(random.integers(0, 2000, 30))):
        early += text.advance(piece)
    found = text.finish(40.0)
    assert found.words == expected.words
    assert found.text == " ".join(expected.text.split()) if delimiter else found.text == expected.text
    assert early == expected.words[: len(early)]
    assert len(early) > 0.9 * len(expected.words)


def test_searched_words_that_are_given_early_stay():
    search = BeamSearch(Alphabet.from_vocabulary(VOCABULARY))
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (600, len(TOKENS))).astype(np.float32)
    logits[np.arange(600), np.repeat(random.choice([0, 4, 5, 6, 7], 150), 4)] += 16
    whole = SearchText(search, VOCABULARY, 0.02)
    whole.advance(logits)
    expected = whole.finish(12.0)
    text, early = SearchText(search, VOCABULARY, 0.02), []
    for piece in np.split(logits, [100, 101, 350, 420]):
        early += text.advance(piece)
    assert text.finish(12.0) == expected
    assert early == expected.words[: len(early)]
    assert len(early) > 0.8 * len(expected.words)


@pytest.mark.parametrize("seed", range(3))
def test_a_pause_ends_a_word(seed):
    """One frame of 40 blanks on end is the delimiter, however frames are cut into pieces."""
    frame = 0.02
    logits = np.zeros((400, len(TOKENS)), np.float32)
    logits[:, 0] = 5
    for at in (3, 30, 90, 129, 300):
        logits[at, 5] = 9
    pauses = Pauses(VOCABULARY, frame)
    cuts = np.sort(np.random.default_rng(seed).integers(0, 400, 12))
    found = np.concatenate([pauses.add(piece) for piece in np.split(logits, cuts)])
    assert np.flatnonzero(found.argmax(axis=1) == 4).tolist() == [70, 169, 340]
    kept = np.delete(np.arange(400), [70, 169, 340])
    np.testing.assert_array_equal(found[kept], logits[kept])


@pytest.mark.parametrize("seconds", [15, 17, 30, 45])
def test_models_that_know_positions_run_little_as_a_whole(tiny_bundle, rewrite, seconds):
    """Above 16 s in windows, whatever asks: transcribe, logits and what `evaluate` reads give one text."""
    folder = tiny_bundle()
    rewrite(folder, lambda data: data.update(context={"reach": 1499, "group_norm": False}))
    samples = np.concatenate([spoken(written(seconds, 200)), noise(seconds)])[: seconds * RATE]
    with load(folder, threads=1) as model:
        ran = counted(model)
        found = model.transcribe(samples, skip_silence=False)
        assert bool(ran) is (seconds > 16)
        assert max(ran, default=0) <= 12 * RATE
        output = model.logits(samples)
        assert len(output) == model.manifest.frames.count(len(samples))
        assert model.decode(output).text == found.text
        assert model.predict(samples).answer == found.text
        assert len(found.text) > 10
    rewrite(folder, lambda data: data.update(context={"reach": 64, "group_norm": False}))
    with load(folder, threads=1) as usual:
        ran = counted(usual)
        usual.transcribe(samples)
        assert bool(ran) is (seconds > 40)
