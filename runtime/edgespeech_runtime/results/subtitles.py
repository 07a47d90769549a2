"""Subtitles from a transcript: SubRip (.srt) and WebVTT (https://www.w3.org/TR/webvtt1/). It writes no file.

Which words make a cue, is said in `cues`.
"""

import math
from typing import Literal, TypeAlias

from .caption_units import timed_parts
from .cues import Cue, CueBuilder
from .transcript import TextSegment, Transcript

SubtitleForm: TypeAlias = Literal["srt", "vtt"]


def to_srt(transcript: Transcript) -> str:
    """SubRip text; "" for a transcript that says nothing."""
    return _whole("srt", transcript)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT text; its header alone for a transcript that says nothing."""
    return _whole("vtt", transcript)


def cues(transcript: Transcript) -> list[Cue]:
    """The transcript in pieces to read.

    Where words have no times, those of their segment, or of the recording, are shared out among its letters.
    """
    builder = CueBuilder()
    return [cue for text, words in timed_parts(transcript) for cue in builder.add(text, words)] + builder.finish()


class SubtitleText:
    """The text of subtitles whose words come segment by segment: in the end, that of the whole transcript.

    What `begin`, `add` and `finish` give, one after the other, is the text. It is valid at any time, and `open_end` is
    how it would go on if nothing followed.
    """

    def __init__(self, form: SubtitleForm) -> None:
        self._form: SubtitleForm = form
        self._builder, self._count = CueBuilder(), 0

    def begin(self) -> str:
        """What stands before all cues."""
        return "WEBVTT\n" if self._form == "vtt" else ""

    def add(self, segment: TextSegment) -> str:
        """Take a segment; return the cues that nothing can change any more."""
        part = Transcript(segment.text, segments=[segment])
        return self._taken([cue for text, words in timed_parts(part) for cue in self._builder.add(text, words)])

    def open_end(self) -> str:
        """The last cues as they are if nothing follows."""
        return self._entries(self._builder.open_cues())

    def finish(self) -> str:
        """The last cues."""
        return self._taken(self._builder.finish())

    def _taken(self, new: list[Cue]) -> str:
        text = self._entries(new)
        self._count += len(new)
        return text

    def _entries(self, new: list[Cue]) -> str:
        return "".join(entry(self._form, cue, number) for number, cue in enumerate(new, self._count))


def entry(form: SubtitleForm, cue: Cue, index: int) -> str:
    """A cue as it stands in a file, with the empty line before it; `index` counts from 0."""
    mark = "." if form == "vtt" else ","
    times = f"{_clock(cue.start, mark)} --> {_clock(cue.end, mark)}"
    if form == "vtt":
        return f"\n{times}\n{_escape(cue.text)}\n"
    return f"{chr(10) if index else ''}{index + 1}\n{times}\n{cue.text}\n"


def _whole(form: SubtitleForm, transcript: Transcript) -> str:
    begin = SubtitleText(form).begin()
    return begin + "".join(entry(form, cue, index) for index, cue in enumerate(cues(transcript)))


def _clock(seconds: float, mark: str) -> str:
    """`hh:mm:ss` and milliseconds behind the mark."""
    milliseconds = math.floor(1000 * max(0.0, seconds) + 0.5)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
