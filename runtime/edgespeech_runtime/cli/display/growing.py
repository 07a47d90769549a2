"""Results of long recordings that are written while their segments come."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .output import write

if TYPE_CHECKING:
    from ... import TextSegment
    from ..recognition import Result


class GrowingText(Protocol):
    """A text that becomes longer with each segment: what `begin`, `add` and `finish` give, one after the other."""

    def begin(self) -> str:
        """What stands before all segments."""

    def add(self, segment: "TextSegment") -> str:
        """Take a segment; return the text that nothing can change any more."""

    def open_end(self) -> str:
        """How the text ends if nothing follows."""

    def finish(self, result: "Result") -> str:
        """The last of it, when the whole result is there, or the error that ended it."""


class PlainText:
    """The texts of segments as one line."""

    def __init__(self) -> None:
        from ...text.joining import JoinedStream

        self._stream = JoinedStream()

    def begin(self) -> str:
        """See `GrowingText.begin`."""
        return ""

    def add(self, segment: "TextSegment") -> str:
        """See `GrowingText.add`."""
        text = self._stream.add(segment.text)
        self._stream.end()
        return text

    def open_end(self) -> str:
        """See `GrowingText.open_end`."""
        return "\n"

    def finish(self, result: "Result") -> str:
        """See `GrowingText.finish`."""
        return "\n"


class GrowingFile:
    """A text file whose beginning stays, and whose end is replaced by what comes."""

    def __init__(self, path: Path) -> None:
        """Begin the file, empty; folders above it are made. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        self.path = path
        self._settled = 0  # bytes that stay

    def add(self, final: str, end: str = "") -> None:
        """Put a text in place of the end; all but its new `end` stays. Raises OSError."""
        content = final.encode("utf-8", "backslashreplace")
        with self.path.open("r+b") as file:
            file.seek(self._settled)
            file.write(content + end.encode("utf-8", "backslashreplace"))
            file.truncate()
        self._settled += len(content)


class GrowingResult:
    """One recording's result while it comes: on stdout what is final, or all of it in a file that is complete always.

    Where the file cannot be written, nothing is; whoever writes the result itself will say so.
    """

    def __init__(self, text: GrowingText, target: Path | None) -> None:
        """Begin it; stdout if there is no `target`. Raises OSError where stdout cannot be written."""
        self._text, self._file = text, None
        if target is None:
            write(text.begin())
        else:
            with contextlib.suppress(OSError):
                self._file = GrowingFile(target)
                self._file.add(text.begin(), text.open_end())
        self._is_on_stdout = target is None

    @property
    def path(self) -> Path | None:
        """The file that it goes to."""
        return None if self._file is None else self._file.path

    def add(self, segment: "TextSegment") -> None:
        """Write what a segment adds. Raises OSError where stdout cannot be written."""
        final = self._text.add(segment)
        if self._is_on_stdout:
            write(final)
        elif self._file is not None:
            try:
                self._file.add(final, self._text.open_end())
            except OSError:
                self._file = None

    def finish(self, result: "Result") -> None:
        """Write the rest to stdout. Raises OSError."""
        if self._is_on_stdout:
            write(self._text.finish(result))

    def discard(self) -> None:
        """Delete the file, since the result is in another one."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.path.unlink()
