"""A long recording while it is transcribed: how far it is, its text as it comes, and what is kept if it is stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .live import LiveText
from .progress import Counter, minutes
from .results import Sink

if TYPE_CHECKING:
    from ... import TextSegment


class Watch:
    """Watches one long recording after the other."""

    def __init__(self, counter: Counter, sink: Sink | LiveText) -> None:
        self._counter, self._sink = counter, sink
        self._recording: tuple[int, Path] | None = None  # the one that runs
        self._segments: list[TextSegment] = []
        self._done = 0.0  # seconds

    def begin(self, index: int, path: Path) -> dict[str, Callable[..., Any]]:
        """The callbacks for the next one."""
        self._recording, self._segments, self._done = (index, path), [], 0.0
        told: dict[str, Callable[..., Any]] = {"on_segment": self._segment, "on_progress": self._progress}
        if isinstance(self._sink, Sink) and self._sink.takes_pieces:
            told["on_text"] = self._piece
        return told

    def end(self) -> None:
        """The recording has its result, or its error."""
        self._recording = None

    def keep(self) -> str:
        """Put what there is of the recording where its result would go; what to say of that, "" where there is none."""
        if self._recording is None or not self._segments:
            return ""
        from ... import Transcript
        from ...text.joining import joined

        index, path = self._recording
        words = [word for segment in self._segments for word in segment.words]
        text = joined(segment.text for segment in self._segments)
        seconds = max(self._done, self._segments[-1].end)
        transcript = Transcript(text, words, duration=seconds, is_complete=False, segments=self._segments)
        if isinstance(self._sink, LiveText):
            self._sink.put(index, path, transcript)
            return ""
        target = self._sink.put_incomplete(index, path, transcript)
        where = "" if target is None else f" and is in {target}"
        return f"; the text of {path} goes to {minutes(self._segments[-1].end)}{where}"

    def _segment(self, segment: "TextSegment") -> None:
        self._segments.append(segment)
        if self._recording is not None and isinstance(self._sink, Sink):
            with self._counter.paused():
                self._sink.segment(*self._recording, segment)

    def _progress(self, done: float, total: float | None) -> None:
        self._done = done
        self._counter.part(done, total)

    def _piece(self, piece: str) -> None:
        if self._recording is not None and isinstance(self._sink, Sink):
            with self._counter.paused():
                self._sink.piece(self._recording[1], piece)
