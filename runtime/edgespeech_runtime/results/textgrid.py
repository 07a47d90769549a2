"""A transcript as a TextGrid of Praat, in its long text format; it writes no file.

The format: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

from collections.abc import Iterator, Sequence

from .transcript import Character, Transcript, Word

Interval = tuple[float, float, str]


def to_textgrid(transcript: Transcript) -> str:
    """The text of a TextGrid: a tier of words, and one of characters where there are any.

    Intervals without a label fill the time between. What takes no time, a word that the audio does not have, is left
    out: Praat's intervals are longer than that. A transcript without words is one interval.
    """
    words: Sequence[Word] = transcript.words
    if not words and transcript.text:
        words = [Word(transcript.text, 0.0, transcript.duration, 1.0)]
    end = max([transcript.duration, *(word.end for word in words)])
    tiers: list[tuple[str, Sequence[Word | Character]]]
    tiers = [("words", words), *([("characters", transcript.characters)] if transcript.characters else [])]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {_number(end)}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, parts) in enumerate(tiers, 1):
        lines += _tier(number, name, list(_intervals(parts, end)), end)
    return "\n".join(lines) + "\n"


def _tier(number: int, name: str, intervals: Sequence[Interval], end: float) -> Iterator[str]:
    yield f"    item [{number}]:"
    yield '        class = "IntervalTier"'
    yield f"        name = {_quoted(name)}"
    yield "        xmin = 0"
    yield f"        xmax = {_number(end)}"
    yield f"        intervals: size = {len(intervals)}"
    for index, (start, stop, text) in enumerate(intervals, 1):
        yield f"        intervals [{index}]:"
        yield f"            xmin = {_number(start)}"
        yield f"            xmax = {_number(stop)}"
        yield f"            text = {_quoted(text)}"


def _intervals(parts: Sequence[Word | Character], end: float) -> Iterator[Interval]:
    """Intervals from 0 to `end` that touch each other; each is longer than nothing as it is written."""
    last = 0.0
    for part in parts:
        start, stop = max(round(part.start, 6), last), round(part.end, 6)
        if stop <= start:
            continue
        if start > last:
            yield last, start, ""
        yield start, stop, part.text
        last = stop
    if round(end, 6) > last or not last:
        yield last, end, ""


def _number(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
