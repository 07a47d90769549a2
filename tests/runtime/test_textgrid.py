"""Praat's long text format, written out by hand from its description."""

import re

import pytest
from edgespeech_runtime import AlignedWord, Character, Transcript, Word, to_textgrid

TWO_WORDS = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 2.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 2.5
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1
            text = "He said"
        intervals [3]:
            xmin = 1
            xmax = 2.125
            text = ""\"no""\"
        intervals [4]:
            xmin = 2.125
            xmax = 2.5
            text = ""
"""


def intervals(text):
    found = re.findall(r'intervals \[\d+\]:\n +xmin = (.*)\n +xmax = (.*)\n +text = "(.*)"\n', text)
    return [(float(start), float(end), label) for start, end, label in found]


def test_silence_is_filled_and_quotes_are_doubled():
    words = [Word("He said", 0.5, 1.0, 1.0), Word('"no"', 1.0, 2.125, 1.0)]
    assert to_textgrid(Transcript('He said "no"', words, duration=2.5)) == TWO_WORDS


def test_characters_have_a_tier_of_their_own():
    letters = [Character("n", 0.0, 0.5, 1.0), Character("o", 0.5, 1.0, 1.0)]
    text = to_textgrid(Transcript("no", [Word("no", 0.0, 1.0, 1.0)], letters, 1.0))
    assert "size = 2\nitem []:" in text
    assert 'name = "characters"' in text
    assert intervals(text) == [(0, 1, "no"), (0, 0.5, "n"), (0.5, 1, "o")]


def test_what_takes_no_time_is_left_out():
    words = [Word("a", 0.0, 0.5, 1.0), AlignedWord("b", 0.5, 0.5, 0.0, "absent"), Word("c", 0.5000001, 1.0, 1.0)]
    assert intervals(to_textgrid(Transcript("a b c", words, duration=1.0))) == [(0, 0.5, "a"), (0.5, 1, "c")]


@pytest.mark.parametrize(("text", "label"), [("no times", "no times"), ("", "")])
def test_without_words_there_is_one_interval(text, label):
    assert intervals(to_textgrid(Transcript(text, duration=3.0))) == [(0, 3, label)]
