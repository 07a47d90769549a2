"""A transcript as text, JSON or subtitles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .growing import GrowingText, PlainText
from .output import rounded, to_json
from .results import Form

if TYPE_CHECKING:
    from ... import Character, TextSegment, Transcript, Word

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

    def finish(self) -> str:
        """See `GrowingText.finish`."""
        return ""


def growing_text(form: Form, timestamps: Timestamps | None, n_best: int | None) -> GrowingText | None:
    """The text of a long recording whose segments come one after the other; None for forms that need all of it."""
    if form in ("srt", "vtt"):
        from ...results.subtitles import SubtitleText

        return SubtitleText("srt" if form == "srt" else "vtt")
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
