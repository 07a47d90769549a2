"""Live captions: on a terminal with a tail that may change and a level meter, elsewhere a line for each final text."""

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from .growing import GrowingFile
from .output import rounded, say, to_json
from .terminal import DIM, ERASE_LINE, GREEN, PLAIN, YELLOW, columns, enable_escapes, ending, width

if TYPE_CHECKING:
    from ...live import Event

METER = 24  # characters
QUIETEST = -60.0  # dB, at the left end of the meter
TOO_LATE = 0.5  # seconds of lag that are worth telling
LEAST_TEXT = 20  # columns of text, for which the meter makes room


class Captions(Protocol):
    """Where events go."""

    def tell(self, event: "Event") -> None:
        """Show an event. Raises OSError where stdout cannot be written."""

    def sound(self, level: float, lag: float) -> None:
        """Show the level of the newest block, in dB, and how many seconds the model is behind."""

    def __enter__(self) -> "Captions": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """A line for each final text; as JSON, one for each event."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def tell(self, event: "Event") -> None:
        """See `Captions.tell`."""
        if self._as_json:
            say(to_json(as_dict(event)))
        elif event.is_final:
            say(event.text)

    def sound(self, level: float, lag: float) -> None:
        """Nothing: nobody watches."""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to show."""


class PlainScreen:
    """Final texts one below the other; the last line has the level and the end of the text that comes, its tail dim."""

    def __init__(self) -> None:
        self._committed = self._tentative = ""
        self._level, self._lag, self._line = QUIETEST, 0.0, ""

    def tell(self, event: "Event") -> None:
        """See `Captions.tell`."""
        if event.is_final:
            self._committed = self._tentative = self._line = ""
            say(f"{ERASE_LINE}{event.text}")
        else:
            self._committed, self._tentative = event.committed, event.tentative
        self._draw()

    def sound(self, level: float, lag: float) -> None:
        """See `Captions.sound`."""
        self._level, self._lag = level, lag
        self._draw()

    def __enter__(self) -> "PlainScreen":
        enable_escapes(sys.stdout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.write(ERASE_LINE)
        sys.stdout.flush()

    def _draw(self) -> None:
        shown = meter(self._level)
        late = f" {self._lag:.1f} s behind" if self._lag > TOO_LATE else ""
        room = columns(sys.stdout) - width(shown) - width(late) - 1
        if room < LEAST_TEXT:
            shown, room = "", columns(sys.stdout) - width(late) - 1
        text = ending(self._committed + self._tentative, max(room, 1))
        tail = text[-len(self._tentative) :] if self._tentative else ""
        colour = GREEN if self._level > QUIETEST else DIM
        line = f"{colour}{shown}{PLAIN}{YELLOW}{late}{PLAIN} {text[: len(text) - len(tail)]}{DIM}{tail}{PLAIN}"
        if line != self._line:
            self._line = line
            sys.stdout.write(ERASE_LINE + line)
            sys.stdout.flush()


def meter(level: float) -> str:
    """A bar as long as a level in dB is high."""
    filled = round(METER * min(max(1 - level / QUIETEST, 0.0), 1.0))
    return f"[{'#' * filled}{' ' * (METER - filled)}] {level:4.0f} dB"


def as_dict(event: "Event") -> dict[str, Any]:
    """An event for JSON; numbers to three places."""
    facts = rounded(event.to_dict())
    facts["words"] = [rounded(word) for word in facts["words"]]
    return facts


class SubtitleFile:
    """A SubRip file that has all final texts as soon as they are there.

    It is complete at any time; the end of its last cue may change with what follows.
    """

    def __init__(self, path: Path) -> None:
        """Begin the file. Raises OSError."""
        from ...results.subtitles import SubtitleText

        self._file, self._text = GrowingFile(path), SubtitleText("srt")

    def tell(self, event: "Event") -> None:
        """Write what is final. Raises OSError."""
        from ... import TextSegment

        final = self._text.add(TextSegment(event.text, event.start, event.end, event.words))
        self._file.add(final, self._text.open_end())
