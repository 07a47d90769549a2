"""Which words stand together in subtitles: each rule on random words and times, and examples by hand."""

import itertools
import math
import random

import pytest
from edgespeech_runtime import TextSegment, Transcript, Word, to_srt, to_vtt
from edgespeech_runtime.results.caption_units import width
from edgespeech_runtime.results.cues import CueBuilder
from edgespeech_runtime.results.subtitles import SubtitleText, cues

SEEDS = range(60)
TOLERANCE = 1e-6  # of seconds that are whole milliseconds
ODD = (math.nan, math.inf, -1.0, 0.0, 7.5)


def said(*words: tuple[str, float, float], text: str | None = None) -> Transcript:
    found = [Word(word, start, end, 1.0) for word, start, end in words]
    return Transcript(" ".join(w.text for w in found) if text is None else text, found)


def random_words(seed: int, longest: int = 12) -> list[tuple[str, float, float]]:
    """Words of natural lengths and times: most follow each other closely, some behind a pause."""
    rng = random.Random(seed)
    time, words = rng.uniform(0, 3), []
    for _ in range(rng.randint(1, 150)):
        letters = "".join(rng.choices("abcdefg", k=rng.randint(1, longest)))
        seconds = rng.uniform(0.03, 0.09) * len(letters)
        words.append((letters + rng.choice(["", "", "", "", ",", "."]), time, time + seconds))
        time += seconds + rng.choice([0.0, 0.02, 0.05, 0.1, 0.1, 0.3, 0.6, 0.79, 0.8, 1.5])
    return words


def odd_words(seed: int) -> list[tuple[str, float, float]]:
    """The same with times that no speech has, and words that fit no line."""
    rng = random.Random(seed)
    words = []
    for word, start, end in random_words(seed, 6):
        kind = rng.randint(0, 6)
        times = [(start, start), (0.0, 0.0), (end, start), (start, rng.choice(ODD)), (rng.choice(ODD), end)]
        words.append((word * rng.choice([1, 1, 1, 20]), *(times[kind] if kind < len(times) else (start, end))))
    return words


def one_time(count: int) -> list[tuple[str, float, float]]:
    return [(f"word{index}", 2.0, 2.0) for index in range(count)]


def check_rules(words, found):
    lines = [line for cue in found for line in cue.text.split("\n")]
    assert all(line == line.strip() and 0 < len(line) <= 42 for line in lines)
    assert all(cue.text.count("\n") <= 1 for cue in found)
    assert "".join(lines).replace(" ", "") == "".join(word for word, *_ in words)
    assert all(0.7 - TOLERANCE <= cue.end - cue.start <= 7 + TOLERANCE for cue in found)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_rule_holds_for_natural_times(seed):
    words = random_words(seed)
    found = cues(said(*words))
    check_rules(words, found)
    assert " ".join(cue.text for cue in found).split() == [word for word, *_ in words]
    starts = {round(start, 3) for _, start, _ in words}
    assert all(round(cue.start, 3) in starts for cue in found)  # a cue begins with its first word
    at = 0
    for cue in found:  # none goes on over a long pause, and each is shown until its last word has ended
        own = words[at : at + len(cue.text.split())]
        at += len(own)
        assert all(second[1] - first[2] < 0.8 for first, second in itertools.pairwise(own))
        assert cue.end >= min(own[-1][2], cue.start + 7) - 0.001


@pytest.mark.parametrize("seed", SEEDS)
def test_odd_times_and_long_words_break_no_rule(seed):
    words = odd_words(seed)
    check_rules(words, cues(said(*words)))


@pytest.mark.parametrize("count", [1, 2, 50, 1000])
def test_words_of_one_time(count):
    check_rules(one_time(count), cues(said(*one_time(count))))


def test_words_that_run_backwards():
    words = [(f"w{index}", 100.0 - index, 100.5 - index) for index in range(100)]
    check_rules(words, cues(said(*words)))


def is_alone(cue_text: str) -> bool:
    return len(cue_text.split()) == 1 and len(cue_text) <= 8


def least_alone(words) -> int:
    """The fewest short words that stand alone in any division of a few words that keeps to the other rules."""
    best = len(words)
    for cuts in itertools.product([False, True], repeat=len(words) - 1):
        bounds = [0, *(index + 1 for index, cut in enumerate(cuts) if cut), len(words)]
        parts = [words[start:end] for start, end in itertools.pairwise(bounds)]
        if all(is_possible(part) for part in parts):
            best = min(best, sum(is_alone(part[0][0]) for part in parts if len(part) == 1))
    return best


def is_possible(part) -> bool:
    texts = [word for word, *_ in part]
    fits = len(" ".join(texts)) <= 42 or any(
        max(len(" ".join(texts[:at])), len(" ".join(texts[at:]))) <= 42 for at in range(1, len(texts))
    )
    pauses = any(second[1] - first[2] >= 0.8 for first, second in itertools.pairwise(part))
    return len(part) == 1 or (fits and not pauses and part[-1][2] - part[0][1] <= 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_short_word_stands_alone_that_need_not(seed):
    rng = random.Random(seed)
    time, words = 0.0, []
    for _ in range(9):
        word = "x" * rng.choice([1, 3, 6, 20, 41])
        seconds = rng.choice([0.4, 1.0, 3.0, 6.5])
        words.append((word, time, time + seconds))
        time += seconds + rng.choice([0.05, 0.3, 0.9])
    found = cues(said(*words))
    assert sum(is_alone(cue.text) for cue in found) == least_alone(words)


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_lines_are_about_as_long_as_they_can_be_alike(seed):
    """No other break behind a word makes them more alike by more than what a clause is worth: a third of a line."""
    for cue in cues(said(*random_words(seed))):
        if "\n" not in cue.text:
            assert len(cue.text) <= 42
            continue
        first, second = map(len, cue.text.split("\n"))
        words = cue.text.split()
        pairs = [(len(" ".join(words[:at])), len(" ".join(words[at:]))) for at in range(1, len(words))]
        assert abs(first - second) <= 19 + min(abs(a - b) for a, b in pairs if max(a, b) <= 42)
        assert first + second > 41


def test_a_sentence_is_a_cue_and_lines_break_at_clauses():
    text = (
        "Wolves came down from the hills; they were seen in the streets. And people kept children indoors, "
        "as was said to Mr. Bennet."
    )
    times = itertools.accumulate((0.06 * len(word) + 0.05 for word in text.split()), initial=0.0)
    words = [(word, a, b) for word, (a, b) in zip(text.split(), itertools.pairwise(times), strict=True)]
    assert [cue.text for cue in cues(said(*words))] == [
        "Wolves came down from the hills;\nthey were seen in the streets.",
        "And people kept children indoors,\nas was said to Mr. Bennet.",
    ]


def test_a_cue_is_shown_until_it_can_be_read():
    """17 letters a second, in the silence behind; not beyond the next cue, nor beyond 7 s."""
    fast = [("thirty-four letters are very many.", 1.0, 1.5)]
    (cue,) = cues(said(*fast))
    assert (cue.start, cue.end) == (1.0, 3.0)
    first, _ = cues(said(*fast, ("again", 2.4, 3.0)))
    assert first.end == 2.4
    (cue,) = cues(said(("sung", 1.0, 30.0)))
    assert cue.end == 8.0


def test_words_join_to_be_shown_long_enough():
    found = cues(said(("one.", 0.0, 0.3), ("two.", 0.3, 0.5), ("three.", 0.5, 0.8), ("four.", 0.8, 3.0)))
    assert len(found) == 1


@pytest.mark.parametrize(("word", "parts"), [("x" * 43, [22, 21]), ("x" * 84, [42, 42]), ("x" * 85, [29, 28, 28])])
def test_a_word_longer_than_a_line_is_cut(word, parts):
    found = cues(said((word, 0.0, 9.0)))
    lines = [line for cue in found for line in cue.text.split("\n")]
    assert "".join(lines) == word
    assert sorted(map(len, lines)) == sorted(parts)


def test_a_long_word_is_best_cut_behind_punctuation():
    address = "https://example.org/recordings/interviews-of-the-year/2026"
    (cue,) = cues(said((address, 0.0, 4.0)))
    first, second = cue.text.split("\n")
    assert first + second == address
    assert first[-1] in "/-."


CHINESE = "今天天气很好，我们去公园散步吧。昨天下了一整天的雨，所以「哪里」也没有去。"


@pytest.mark.parametrize("has_times", [True, False])
def test_a_script_without_spaces(has_times):
    words = [Word(letter, 0.2 * index, 0.2 * index + 0.2, 1.0) for index, letter in enumerate(CHINESE)]
    found = cues(Transcript(CHINESE, words if has_times else [], duration=0.2 * len(CHINESE)))
    assert [cue.text for cue in found] == [
        "今天天气很好，我们去公园散步吧。",
        "昨天下了一整天的雨，\n所以「哪里」也没有去。",
    ]
    assert found[1].start == pytest.approx(3.2, abs=0.001)
    assert all(width(line) <= 42 for cue in found for line in cue.text.split("\n"))


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_no_line_of_letters_begins_with_closing_punctuation(seed):
    rng = random.Random(seed)
    text = "".join(rng.choice("天地人山水「」，。火") for _ in range(rng.randint(1, 300)))
    words = [Word(letter, 0.15 * index, 0.15 * index + 0.15, 1.0) for index, letter in enumerate(text)]
    found = cues(Transcript(text, words))
    lines = [line for cue in found for line in cue.text.split("\n")]
    assert "".join(lines) == text
    assert all(width(line) <= 42 for line in lines)
    # Rows of punctuation alone may be longer than what stays together.
    wrong = [(a, b) for a, b in itertools.pairwise(lines) if b[0] in "」，。" and a[-1] not in "」，。「"]
    assert not wrong


def test_letters_of_a_model_without_words():
    """A text of Latin letters without any space is cut all the same."""
    words = [("a", 0.1 * index, 0.1 * index + 0.1) for index in range(300)]
    check_rules(words, cues(said(*words, text="a" * 300)))


def test_punctuation_that_is_a_word_of_its_own_stays_with_its_word():
    words = [(word, 0.3 * index, 0.3 * index + 0.3) for index, word in enumerate(["it", "is", "so", "!"] * 20)]
    found = cues(said(*words, text="it is so! " * 20))
    assert " ".join(cue.text.replace("\n", " ") for cue in found) == " ".join(["it is so!"] * 20)


def test_what_is_not_in_the_text_shifts_nothing():
    """A text may be cleaned up, so that a word is not in it; a space is before that one, and as before behind it."""
    words = [(word, 0.3 * at, 0.3 * at + 0.3) for at, word in enumerate(["I", "will", "n't", "go", "I", "say"])]
    (cue,) = cues(said(*words, text="I won't go I say"))
    assert cue.text == "I will n't go I say"


def test_a_text_without_times_keeps_the_rules():
    text = " ".join(f"word{index}" for index in range(100))
    found = cues(Transcript(text, duration=60.0))
    check_rules([(word, 0.0, 0.0) for word in text.split()], found)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(60.0, abs=0.5)


def segments_of(words, rng) -> list[TextSegment]:
    """Words in segments of random sizes, wherever they end."""
    found = []
    while words:
        size = rng.randint(1, 30)
        part, words = [Word(*word, 1.0) for word in words[:size]], words[size:]
        found.append(TextSegment(" ".join(word.text for word in part), part[0].start, part[-1].end, part))
    return found


@pytest.mark.parametrize("form", ["srt", "vtt"])
@pytest.mark.parametrize("seed", SEEDS[:20])
def test_segments_on_the_way_give_the_subtitles_of_the_whole(seed, form):
    words = random_words(seed) + [(word, a + 500, b + 500) for word, a, b in random_words(seed + 1000)]
    whole = {"srt": to_srt, "vtt": to_vtt}[form](said(*words))
    text = SubtitleText(form)
    done = text.begin()
    for segment in segments_of(words, random.Random(seed)):
        done += text.add(segment)
        assert whole.startswith(done)
        assert (done + text.open_end()).endswith("\n")
    assert done + text.finish() == whole


def test_cues_come_while_words_go_on_without_a_pause():
    builder = CueBuilder()
    given = []
    for index in range(1000):
        given += builder.add(f"word{index}", [Word(f"word{index}", 0.4 * index, 0.4 * index + 0.4, 1.0)])
        assert 0.4 * index - (given[-1].end if given else 0.0) < 75
    assert given + builder.finish() == cues(said(*((f"word{i}", 0.4 * i, 0.4 * i + 0.4) for i in range(1000))))
