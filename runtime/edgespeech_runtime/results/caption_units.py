"""The smallest parts of subtitles: words with times, made fit for lines. It decides nothing about cues.

Times may be odd, since they come from models: those that run backwards or are no numbers are put right here.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..text.joining import UNSPACED, gap
from .transcript import TextSegment, Transcript, Word

WIDTH = 42  # letters of a line
WIDE = WIDTH / 16  # of those, what a wide letter takes: 16 Chinese letters are a line
LOOK_AHEAD = 24  # letters of the text in which a word is looked for that is not the next one
MOST_JOINED = 20  # letters of words without a space between them that stay together
MOST_SECONDS = 2.0  # that such words last together
LEAST_PAUSE = 0.3  # seconds between two of them, from which on they may be parted
OPENING, CLOSING = ("Ps", "Pi"), ("Pe", "Pf", "Po", "Pd")  # categories of Unicode
WORD = re.compile(rf"{UNSPACED.pattern}|(?:(?!{UNSPACED.pattern})\S)+")


class Unit(NamedTuple):
    """What no line break parts: text, what stands before it (a space or nothing), start and end in seconds."""

    text: str
    gap: str
    start: float
    end: float


def width(text: str) -> float:
    """Letters of a line that a text takes: one each, and `WIDE` for those of Chinese, Japanese and Korean."""
    if text.isascii():
        return len(text)
    return sum(WIDE if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def timed_parts(transcript: Transcript) -> Iterator[tuple[str, Sequence[Word]]]:
    """Texts with their words: of each segment, or of the whole.

    Where words have no times, those of their segment are shared out among its letters; where there are no segments
    either, those of the recording.
    """
    words = transcript.words
    if transcript.segments and len(words) in (0, sum(len(segment.words) for segment in transcript.segments)):
        for segment in transcript.segments:
            yield segment.text, segment.words or shared_out(segment)
    else:
        yield transcript.text, words or shared_out(TextSegment(transcript.text, 0.0, transcript.duration))


def shared_out(segment: TextSegment) -> list[Word]:
    """The words of a segment, with times as if all letters took the same; letters where a script has no spaces."""
    pace = (segment.end - segment.start) / max(1, len(segment.text))
    return [
        Word(word[0], segment.start + word.start() * pace, segment.start + word.end() * pace, 0.0)
        for word in WORD.finditer(segment.text)
    ]


def units(text: str, words: Iterable[Word], last: Unit | None) -> Iterator[tuple[Unit, bool]]:
    """The units of a text, and of each whether it takes the place of the one before, whose text it begins with.

    `last` is the unit before the text, if there is one. Words without letters are left out.
    """
    position = 0
    for index, word in enumerate(words):
        before, position = _gap(text, word.text, position)
        content = " ".join(word.text.split())
        if not content:
            continue
        if index == 0 or last is None:
            before = gap(last.text, content) if last is not None else ""
        earliest, latest = (0.0, 0.0) if last is None else (last.start, last.end)
        start = max(earliest, word.start if math.isfinite(word.start) else latest)
        end = max(start, word.end if math.isfinite(word.end) else start)
        unit = Unit(content, before, start, end)
        if last is not None and _belong_together(last, unit):
            last = Unit(last.text + unit.text, last.gap, last.start, max(last.end, unit.end))
            yield last, True
            continue
        for last in _narrow(unit):
            yield last, False


def _gap(text: str, word: str, position: int) -> tuple[str, int]:
    """What stands before a word in the text, a space or nothing, and the position behind the word."""
    begin = position
    while begin < len(text) and text[begin].isspace():
        begin += 1
    if not text.startswith(word, begin):
        later = text.find(word, begin, begin + len(word) + LOOK_AHEAD)
        return (" ", position) if later < 0 else (" ", later + len(word))
    return (" " if begin > position else "", begin + len(word))


def _belong_together(last: Unit, unit: Unit) -> bool:
    """Whether no line may end between two units: no space is there, and the script writes some, or one is punctuation.

    Letters of a model without words are parted all the same where they get long.
    """
    if unit.gap or unit.start - last.end >= LEAST_PAUSE or unit.end - last.start > MOST_SECONDS:
        return False
    if width(last.text) + width(unit.text) > MOST_JOINED:
        return False
    if not (UNSPACED.match(last.text[-1]) or UNSPACED.match(unit.text[0])):
        return True
    return unicodedata.category(last.text[-1]) in OPENING or unicodedata.category(unit.text[0]) in CLOSING


def _narrow(unit: Unit) -> Iterator[Unit]:
    """A unit in parts that fit a line, which share its time by their letters; best cut behind punctuation."""
    pace = (unit.end - unit.start) / len(unit.text)
    done = 0
    for part in _cut(unit.text):
        start, done = unit.start + done * pace, done + len(part)
        yield Unit(part, unit.gap if done == len(part) else "", start, unit.start + done * pace)


def _cut(text: str) -> Iterator[str]:
    """A text in parts of at most `WIDTH`, of about the same width."""
    while (whole := width(text)) > WIDTH:
        each = whole / math.ceil(whole / WIDTH)
        sizes, total = [], 0.0  # of the beginnings that fit
        for letter in text:
            total += width(letter)
            if total > WIDTH:
                break
            sizes.append(total)
        best = min(range(len(sizes)), key=lambda at: _cost_of_cut(text, at, sizes[at], each))
        yield text[: best + 1]
        text = text[best + 1 :]
    yield text


def _cost_of_cut(text: str, at: int, size: float, wanted: float) -> float:
    """How bad it is to cut a text behind the letter `at`, which is as far as `size`."""
    is_combining = unicodedata.combining(text[at + 1]) > 0
    before, behind = unicodedata.category(text[at]), unicodedata.category(text[at + 1])
    is_good = before in CLOSING and behind not in CLOSING
    is_bad = behind in CLOSING or before in OPENING
    return abs(size - wanted) / WIDTH + 10 * is_combining + is_bad - 0.3 * is_good
