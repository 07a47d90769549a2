"""A transcript as text, JSON or subtitles."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .growing import GrowingText, PlainText
from .output import rounded, to_json
from .results import Form

if TYPE_CHECKING:
    from ... import Character, TextSegment, Transcript, Word
    from ..recognition import Result

Timestamps = Literal["word", "char"]


def render(path: Path, transcript: "Transcript", form: Form, timestamps: Timestamps | None) -> str:
    """One result, as a file of its own holds it; the last line has its line break."""
    if form == "json":
        return to_json(as_dict(path, transcript, timestamps)) + "\n"
    if form == "text" and transcript.alternatives:
        return "".join(f"{text.score:10.2f}  {text.text}\n" for text in transcript.alternatives)
    if form == "text":
        return transcript.text + "\n" if timestamps is None else _timed(transcript, timestamps)
    from ... import to_srt, to_textgrid, to_vtt

    return {"srt": to_srt, "vtt": to_vtt, "textgrid": to_textgrid}[form](transcript)


def _timed(transcript: "Transcript", timestamps: Timestamps) -> str:
    """A line for each word or character."""
    return timed_lines(transcript.words if timestamps == "word" else transcript.characters)


def timed_lines(parts: "Sequence[Word | Character]") -> str:
    """A line for each part: start and end in seconds, confidence, text, and whether they were measured."""
    return "".join(
        f"{part.start:8.2f} {part.end:8.2f}  {part.confidence:.2f}  {part.text}{_remark(part)}\n" for part in parts
    )


class TimedWords:
    """A line for each word of the segments."""

    def begin(self) -> str:
        """See `GrowingText.begin`."""
        return ""

    def add(self, segment: "TextSegment") -> str:
        """See `GrowingText.add`."""
        return timed_lines(segment.words)

    def open_end(self) -> str:
        """See `GrowingText.open_end`."""
        return ""

    def finish(self, result: "Result") -> str:
        """See `GrowingText.finish`."""
        return ""


class Subtitles:
    """The cues of the segments."""

    def __init__(self, form: Literal["srt", "vtt"]) -> None:
        from ...results.subtitles import SubtitleText

        self._text = SubtitleText(form)
        self.begin, self.add, self.open_end = self._text.begin, self._text.add, self._text.open_end

    def finish(self, result: "Result") -> str:
        """See `GrowingText.finish`."""
        return self._text.finish()


class JsonText:
    """One object on one line: the segments as they come, everything else behind them.

    In a file, which something may end at any time, segments have their words; on stdout these follow with the rest.
    """

    def __init__(self, path: Path, timestamps: Timestamps | None, in_file: bool) -> None:
        self._path, self._timestamps, self._in_file = path, timestamps, in_file
        self._segments: list[TextSegment] = []

    def begin(self) -> str:
        """See `GrowingText.begin`."""
        facts = {"audio": str(self._path), **({"is_complete": False} if self._in_file else {})}
        return f'{to_json(facts)[:-1]}, "segments": ['

    def add(self, segment: "TextSegment") -> str:
        """See `GrowingText.add`."""
        self._segments.append(segment)
        words = {"words": [rounded(asdict(word)) for word in segment.words]} if self._in_file else {}
        comma = ", " if len(self._segments) > 1 else ""
        return comma + to_json({"text": segment.text, **rounded({"start": segment.start, "end": segment.end}), **words})

    def open_end(self) -> str:
        """See `GrowingText.open_end`."""
        return "]}\n"

    def finish(self, result: "Result") -> str:
        """See `GrowingText.finish`."""
        from ... import Transcript
        from ...text.joining import joined

        if isinstance(result, Transcript):
            facts = as_dict(self._path, result, self._timestamps)
        else:
            words = [word for segment in self._segments for word in segment.words]
            text, seconds = joined(segment.text for segment in self._segments), self._segments[-1].end
            whole = Transcript(text, words, duration=seconds, is_complete=False)
            facts = {**as_dict(self._path, whole, self._timestamps), "error": str(result)}
        rest = {name: value for name, value in facts.items() if name not in ("audio", "segments")}
        return f"], {to_json(rest)[1:]}\n"


def growing_text(
    form: Form, timestamps: Timestamps | None, n_best: int | None, path: Path, in_file: bool
) -> GrowingText | None:
    """The text of a long recording whose segments come one after the other; None for forms that need all of it."""
    if form == "json":
        return JsonText(path, timestamps, in_file)
    if form in ("srt", "vtt"):
        return Subtitles("srt" if form == "srt" else "vtt")
    if form == "text" and n_best is None and timestamps != "char":
        return PlainText() if timestamps is None else TimedWords()
    return None


def _remark(part: "Word | Character") -> str:
    timing = getattr(part, "timing", "audio")
    return "" if timing == "audio" else f"  ({timing})"


def as_dict(path: Path, transcript: "Transcript", timestamps: Timestamps | None) -> dict[str, Any]:
    """The transcript for JSON; numbers to three places, characters only where they were asked for."""
    facts = {"audio": str(path), **transcript.to_dict()}
    facts["duration"] = round(transcript.duration, 3)
    if timestamps != "char":
        del facts["characters"]
    for name in facts.keys() & {"words", "characters"}:
        facts[name] = [rounded(part) for part in facts[name]]
    for each in facts.get("alternatives", ()):
        each.update(rounded({**each, "words": [rounded(part) for part in each["words"]]}))
    for each in facts.get("segments", ()):
        each.update(rounded(each))
        del each["words"]  # which are those of the whole
    return facts
