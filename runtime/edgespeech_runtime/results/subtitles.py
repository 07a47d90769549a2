"""Subtitles from a transcript: SubRip (.srt) and WebVTT (https://www.w3.org/TR/webvtt1/). It writes no file."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .transcript import TextSegment, Transcript, Word

WIDTH = 42  # characters a cue, one line by the usual guidelines for broadcast subtitles
LONGEST = 6.0  # seconds a cue
PAUSE = 0.8  # seconds of silence that end a cue


class Cue(NamedTuple):
    """One subtitle; times in seconds."""

    text: str
    start: float
    end: float


def to_srt(transcript: Transcript) -> str:
    """SubRip text; "" for a transcript that says nothing."""
    return "\n".join(srt_entries(transcript))


def srt_entries(transcript: Transcript, first: int = 1) -> list[str]:
    """The entries of such a text, numbered from `first` on; empty lines stand between them."""
    return [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues(transcript), first)
    ]


def to_vtt(transcript: Transcript) -> str:
    """WebVTT text; its header alone for a transcript that says nothing."""
    entries = (
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escape(cue.text)}\n" for cue in cues(transcript)
    )
    return "\n".join(["WEBVTT\n", *entries])


def cues(transcript: Transcript) -> list[Cue]:
    """The transcript in pieces to read: whole words, split at pauses, after `WIDTH` characters or `LONGEST` seconds.

    A single word may exceed both. Where words have no times, those of their segment are shared out among its letters. A
    transcript without either is one cue; one without text has none.
    """
    words = transcript.words or [word for segment in transcript.segments for word in _shared_out(segment)]
    if not words:
        text = " ".join(transcript.text.split())
        return [Cue(text, 0.0, transcript.duration)] if text else []
    found: list[Cue] = []
    for word, gap in zip(words, _gaps(transcript.text, words), strict=True):
        text = " ".join(word.text.split())
        if found and _fits(found[-1], gap + text, word):
            found[-1] = Cue(found[-1].text + gap + text, found[-1].start, word.end)
        elif text:
            found.append(Cue(text, word.start, word.end))
    return found


def _fits(cue: Cue, addition: str, word: Word) -> bool:
    is_narrow = len(cue.text) + len(addition) <= WIDTH
    return is_narrow and word.end - cue.start <= LONGEST and word.start - cue.end < PAUSE


def _shared_out(segment: TextSegment) -> Iterator[Word]:
    """The words of a segment, with times as if all letters took the same."""
    pace = (segment.end - segment.start) / max(1, len(segment.text))
    for word in re.finditer(r"\S+", segment.text):
        yield Word(word[0], segment.start + word.start() * pace, segment.start + word.end() * pace, 0.0)


def _gaps(text: str, words: Sequence[Word]) -> Iterator[str]:
    """What stands before each word in the text: one space, or nothing where the language writes no spaces."""
    position = 0
    for word in words:
        found = text.find(word.text, position)
        yield "" if found == position else " "
        position = found + len(word.text) if found >= 0 else position


def _clock(seconds: float, mark: str) -> str:
    """`hh:mm:ss` and milliseconds behind the mark."""
    milliseconds = math.floor(1000 * max(0.0, seconds) + 0.5)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
