"""`CtcModel.align` on the language of tones, where a letter is 20 ms and every edge is known."""

import numpy as np
import pytest
from edgespeech_runtime import AlignedCharacter, AlignedWord
from edgespeech_runtime.bundle.manifest import Vocabulary
from edgespeech_runtime.ctc.alignment import align, splitting
from edgespeech_runtime.ctc.alignment.layout import lay_out
from edgespeech_runtime.ctc.alignment.spelling import spell_out
from edgespeech_runtime.errors import ArgumentError
from tones import RATE, spoken

PAUSE = "_" * 25  # half a second of the blank's tone


def times(parts):
    return [(part.text, round(part.start, 3), round(part.end, 3)) for part in parts]


def timings(transcript):
    return [(word.text, word.timing) for word in transcript.words]


def test_words_and_characters_with_times(model):
    found = model.align(spoken("__AAB_|__C__"), "Ab, c!")
    assert found.text == "Ab, c!"
    assert found.duration == pytest.approx(0.24)
    # one tone from beginning to end: the first word ends where the second begins
    assert times(found.words) == [("Ab,", 0.04, 0.18), ("c!", 0.18, 0.2)]
    assert times(found.characters) == [("A", 0.04, 0.08), ("b", 0.08, 0.18), ("c", 0.18, 0.2)]
    assert all(isinstance(word, AlignedWord) and word.timing == "audio" for word in found.words)
    assert all(isinstance(letter, AlignedCharacter) and letter.confidence > 0.9 for letter in found.characters)


def test_the_sound_beside_a_pause_is_the_words(model):
    """The model says a letter in the middle of what is not silent."""
    silence = "." * 30
    found = model.align(spoken(silence + "__A__|" + silence + "_B___" + silence), "A B")
    edges = [edge for word in found.words for edge in (word.start, word.end)]
    assert edges == pytest.approx([0.6, 0.72, 1.32, 1.42], abs=0.006)  # loudness is measured every 5 ms


def test_lists_and_text_go_together(model):
    one, two = spoken("A|B"), spoken("__CC")
    assert model.align([one, two], ["a b", "c"]) == [model.align(one, "a b"), model.align(two, "c")]
    assert model.align([one], ["a b"]) == [model.align(one, "a b")]
    for audio, text in (([one, two], "a b"), (one, ["a b"]), ([one, two], ["a b"])):
        with pytest.raises(ArgumentError, match="text: expected one for each input, got"):
            model.align(audio, text)


def test_another_sampling_rate(model):
    pytest.importorskip("soxr")
    double = np.repeat(spoken("__A__|__BB_"), 2)
    assert [word.text for word in model.align(double, "A B", sampling_rate=2 * RATE).words] == ["A", "B"]


def test_words_that_are_not_said_take_no_time(model):
    said = spoken(PAUSE + "A_B_|_C_A_|_B_C_|_A_A" + PAUSE)
    clean = model.align(said, "ab ca bc aa")
    found = model.align(said, "ab bbb ca ccc bcb bc aa")
    assert [word for word in found.words if word.timing == "audio"] == clean.words
    absent = [word for word in found.words if word.timing == "absent"]
    assert [word.text for word in absent] == ["bbb", "ccc", "bcb"]
    assert all(word.start == word.end and word.confidence == 0 for word in absent)
    before = {word.text: word.end for word in clean.words}
    assert [word.start for word in absent] == [before["ab"], before["ca"], before["ca"]]
    assert [c.timing for c in found.characters if c.text == "b"].count("absent") == 5


def test_a_text_that_goes_on_before_and_after(model):
    said = spoken(PAUSE + "A_B_|_C_A_|_B_C" + PAUSE)
    found = model.align(said, "ccc bbb ab ca bc aaa cbc")
    assert [word for word in found.words if word.timing == "audio"] == model.align(said, "ab ca bc").words
    assert [timing for _, timing in timings(found)] == ["absent"] * 2 + ["audio"] * 3 + ["absent"] * 2


@pytest.mark.parametrize("text", ["ab bc", "ab * bc", "* ab * bc *"])
def test_speech_that_is_not_in_the_text_is_passed_over(model, text):
    """With `*` where it is, and without: its letters are those of the words beside it."""
    said = spoken(PAUSE + "A_B_|_C_A_C_C_A_|_A_C_A_A_C_|_B_C" + PAUSE)
    found = model.align(said, text)
    assert found.text == "ab bc"
    assert timings(found) == [("ab", "audio"), ("bc", "audio")]
    whole = model.align(said, "ab cacca acaac bc")
    assert [word.start for word in found.words] == [whole.words[0].start, whole.words[3].start]
    assert [word.confidence for word in found.words] == pytest.approx([1, 1], abs=0.05)


def test_what_the_vocabulary_lacks_is_interpolated(model):
    found = model.align(spoken(PAUSE + "A_B_|_C_C_|_B_A" + PAUSE), "ab 77 ba")
    assert timings(found) == [("ab", "audio"), ("77", "interpolated"), ("ba", "audio")]
    assert found.words[1].confidence == 0
    # the model says C there in the frames 31 and 33, and B in the frame 37
    assert times(found.characters[2:4]) == [("7", 0.62, 0.65), ("7", 0.65, 0.74)]


def test_a_letter_inside_a_word_is_interpolated(model):
    found = model.align(spoken(PAUSE + "A_C_B" + PAUSE), "a7b")
    assert timings(found) == [("a7b", "audio")]
    assert [c.timing for c in found.characters] == ["audio", "interpolated", "audio"]
    assert times(found.characters)[1] == ("7", 0.54, 0.56)


def test_punctuation_alone_is_a_word_without_time(model):
    found = model.align(spoken("A_|_B"), "a — b")
    assert times(found.words)[1][1] == times(found.words)[1][2] == times(found.words)[0][2]
    assert [word.text for word in found.words] == ["a", "—", "b"]


@pytest.mark.parametrize("silence", [0, 3, 60])
def test_silence_attracts_no_word(model, silence):
    quiet = "_" * (50 * silence)
    found = model.align(spoken(quiet + "A_B_|" + quiet + "_C_A" + quiet), "ab ca")
    plain = model.align(spoken("A_B_|_C_A"), "ab ca")
    for word, alone, pauses in zip(found.words, plain.words, (1, 2), strict=True):
        assert word.start == pytest.approx(alone.start + pauses * silence, abs=0.011)


def test_words_never_overlap_and_keep_their_order(model):
    rng = np.random.default_rng(3)
    for _ in range(20):
        said = "".join(rng.choice(list("ABC_|."), 60, p=[0.15, 0.15, 0.1, 0.3, 0.15, 0.15]))
        text = " ".join("".join(rng.choice(list("abc7-"), rng.integers(1, 4))) for _ in range(8))
        if not set(text) & set("abc"):
            continue
        found = model.align(spoken(said), text)
        assert [word.text for word in found.words] == text.split()
        for parts in (found.words, found.characters):
            edges = [edge for part in parts for edge in (part.start, part.end)]
            assert edges == sorted(edges)
            assert min(edges) >= 0
            assert max(edges) <= found.duration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "text: expected the words that are said, got none"),
        ("* *", "text: expected the words that are said, got none"),
        ("42", "text: no letter of '42' is in the model's vocabulary"),
        ("abc " * 9, "tokens need at least 35 frames, the audio has 12: the text is longer than the audio allows"),
    ],
)
def test_a_text_that_cannot_be_aligned_is_refused(model, text, message):
    with pytest.raises(ArgumentError, match=message):
        model.align(spoken("__AAB_|__C__"), text)


def test_a_long_recording_in_pieces_has_the_times_of_the_whole(model, monkeypatch):
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("ABC"), rng.integers(3, 9))) for _ in range(120)]
    said = spoken("__|_".join("_".join(word) + "_" * int(rng.integers(0, 20)) for word in words))
    text = " ".join([*words[:40], "CCCABCABB", *words[40:]])
    whole = model.align(said, text)
    monkeypatch.setattr(splitting, "WHOLE", 0)
    monkeypatch.setattr(splitting, "FAR", 30)
    monkeypatch.setattr(splitting, "LENGTH", 100)
    assert model.align(said, text) == whole


def test_the_pieces_are_many_and_begin_where_words_do():
    rng = np.random.default_rng(7)
    vocabulary = Vocabulary(("_", "|", *"ABCDEFGHIJ"), 0)
    words = ["".join(rng.choice(list("ABCDEFGHIJ"), rng.integers(2, 9))) for _ in range(8000)]
    layout = lay_out(spell_out(" ".join(words), vocabulary), vocabulary.delimiter_id)
    frames = np.flatnonzero(rng.random(len(layout.tokens) * 4) < 0.25)[: len(layout.tokens)]
    ids = np.zeros(frames[-1] + 9, np.int64)
    ids[frames] = layout.tokens[: len(frames)]
    wrong = rng.random(len(frames)) < 0.15  # a model with 15 % errors
    ids[frames[wrong]] = rng.integers(0, 12, wrong.sum())
    scores = np.log(np.full((len(ids), 12), 0.01) + 0.88 * np.eye(12)[ids]).astype(np.float32)
    parts = splitting.split(scores, layout, 0)
    assert len(parts) > 50
    assert [part[0].start for part in parts[1:]] == [part[0].stop for part in parts[:-1]]
    assert [part[1].start for part in parts[1:]] == [part[1].stop for part in parts[:-1]]
    begins = [part[1].start for part in parts]
    assert np.isin(begins, layout.starts).all()
    late = frames[begins[1:]] - [part[0].start for part in parts[1:]]
    assert set(late.tolist()) <= {0, 1}  # 1: the model said the same letter in the frame before


def test_a_text_that_repeats_itself_is_not_lost(monkeypatch):
    """Every run of letters is there many times: the recording says the same 200 times, with one letter in ten wrong."""
    rng = np.random.default_rng(11)
    vocabulary = Vocabulary(("_", "|", *"ABCDEFGHIJ"), 0)
    words = ["ABCD", "EFG", "HIJA", "BDFH"] * 200
    layout = lay_out(spell_out(" ".join(words), vocabulary), vocabulary.delimiter_id)
    ids = np.zeros(3 * len(layout.tokens), np.int64)
    ids[::3] = layout.tokens
    wrong = rng.random(len(layout.tokens)) < 0.1
    ids[::3][wrong] = rng.integers(2, 12, wrong.sum())
    scores = np.log(np.full((len(ids), 12), 0.001) + 0.988 * np.eye(12)[ids]).astype(np.float32)
    monkeypatch.setattr(splitting, "WHOLE", 0)
    found = align(scores, " ".join(words), vocabulary)
    starts = np.concatenate([word.start_frames for word in found.words])
    right = np.flatnonzero(layout.is_letter) * 3
    assert np.mean(starts == right) > 0.9
    assert np.abs(starts - right).max() < 30
