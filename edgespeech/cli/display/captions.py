"""Live captions: on a terminal with a tail that may change and a level meter, elsewhere a line for each final text."""

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from edgespeech.cli.display.growing import GrowingFile
from edgespeech.cli.display.output import rounded, say, to_json

if TYPE_CHECKING:
    from edgespeech_runtime.live import Event
    from rich.console import RenderableType

METER = 24  # characters
QUIETEST = -60.0  # dB, at the left end of the meter
TOO_LATE = 0.5  # seconds of lag that are worth telling


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


class Screen:
    """Final texts one below the other, and at the bottom the text that comes: its tail dim, below it the level."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._event: Event | None = None
        self._level, self._lag = QUIETEST, 0.0
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._live = Live(console=self._console, refresh_per_second=12, transient=True, get_renderable=self._bottom)

    def tell(self, event: "Event") -> None:
        """See `Captions.tell`."""
        self._event = None if event.is_final else event
        if event.is_final:
            self._console.print(event.text)

    def sound(self, level: float, lag: float) -> None:
        """See `Captions.sound`."""
        self._level, self._lag = level, lag

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _bottom(self) -> "RenderableType":
        from rich.text import Text

        text = Text()
        if self._event is not None:
            text.append(self._event.committed)
            text.append(self._event.tentative, style="dim")
            text.append("\n")
        text.append(meter(self._level), style="green" if self._level > QUIETEST else "dim")
        if self._lag > TOO_LATE:
            text.append(f"  {self._lag:.1f} s behind", style="yellow")
        return text


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
        from edgespeech_runtime.results.subtitles import SubtitleText

        self._file, self._text = GrowingFile(path), SubtitleText("srt")

    def tell(self, event: "Event") -> None:
        """Write what is final. Raises OSError."""
        from edgespeech_runtime import TextSegment

        final = self._text.add(TextSegment(event.text, event.start, event.end, event.words))
        self._file.add(final, self._text.open_end())
