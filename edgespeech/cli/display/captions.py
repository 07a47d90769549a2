"""Live captions on a terminal, as rich shows them: a tail that may change, below it a level meter."""

from types import TracebackType
from typing import TYPE_CHECKING

from edgespeech_runtime.cli.display.captions import QUIETEST, TOO_LATE, meter

if TYPE_CHECKING:
    from edgespeech_runtime.live import Event
    from rich.console import RenderableType


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
