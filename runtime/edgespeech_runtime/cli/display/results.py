"""Results of recordings to stdout or to files. What a result looks like is the business of those who make it."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import complain
from .growing import GrowingResult, GrowingText
from .live import LiveText
from .output import say, to_json, write

if TYPE_CHECKING:
    from ... import TextSegment
    from ..recognition import Result

Form = Literal["text", "json", "npy", "srt", "vtt", "textgrid"]
SUFFIXES: dict[Form, str] = {
    "text": ".txt",
    "json": ".json",
    "npy": ".npy",
    "srt": ".srt",
    "vtt": ".vtt",
    "textgrid": ".TextGrid",
}
SUBTITLES: tuple[Form, ...] = ("srt", "vtt")


@dataclass
class Sink:
    """Where results go: into `files`, one a recording, or to stdout; errors go to stderr and are counted.

    `render` makes a result's text of the recording's path and the result; its last line has its line break. With
    `several` on stdout, a text stands behind its file's name, or below it where a text `has_lines`. `growing` makes
    the text of a long recording, by its path, whose segments are written as they come into a file or not, if the form
    has such a text.
    """

    form: Form
    render: Callable[[Path, Any], str]
    several: bool
    files: Sequence[Path] | None
    has_lines: bool = False
    growing: "Callable[[Path, bool], GrowingText | None]" = lambda path, in_file: None
    failed: int = 0
    _grown: GrowingResult | None = field(default=None, init=False)  # the recording whose segments come
    _begun: LiveText | None = field(default=None, init=False)  # the text of a recording that comes in pieces

    @property
    def takes_pieces(self) -> bool:
        """Whether a text may be written as it comes: on stdout, as nothing but itself."""
        return self.form == "text" and self.files is None and not self.has_lines

    @property
    def _has_headings(self) -> bool:
        """Whether the texts of long recordings stand below their files' names."""
        return self.files is None and self.several and self.form != "json"

    def piece(self, path: Path, text: str) -> None:
        """Write the next piece of a recording's text, the result of which is still to come. Raises OSError."""
        if self._begun is None:
            self._begun = LiveText(self.several)
        self._begun.add(path, text)

    def segment(self, index: int, path: Path, segment: "TextSegment") -> None:
        """Write what the next segment of a recording adds, the result of which is still to come. Raises OSError."""
        in_file = self.files is not None
        if self._grown is None and not self.takes_pieces and (text := self.growing(path, in_file)) is not None:
            if self._has_headings:
                write(f"{path}\n")
            self._grown = GrowingResult(text, None if self.files is None else _incomplete(self.files[index]))
        if self._grown is not None:
            self._grown.add(segment)

    def put_incomplete(self, index: int, path: Path, result: "Result") -> Path | None:
        """Write what there is of a recording that was stopped, into a file that is named so. Returns the file, if any.

        Raises OSError.
        """
        if self.files is None:
            self.put(index, path, result)
            return None
        self._grown = None
        target = _incomplete(self.files[index])
        write_file(target, self.render(path, result))
        return target

    def put(self, index: int, path: Path, result: "Result") -> None:
        """Write the result of the recording at `index`; a file that cannot be written fails alone.

        Raises OSError where stdout cannot be written.
        """
        if self._begun is not None:  # all of a text has been written, or what there was of it
            begun, self._begun = self._begun, None
            begun.put(index, path, result)
            self.failed += begun.failed
            return
        grown, self._grown = self._grown, None
        if grown is not None and self.files is None:
            grown.finish(result)
            if self._has_headings:
                write("\n")
        if isinstance(result, Exception):
            self.failed += 1
            complain(result)
            if grown is not None and grown.path is not None:
                complain(f"what there is of {path} is in {grown.path}")
            if self.form == "json" and self.files is None and grown is None:
                say(to_json({"audio": str(path), "error": str(result)}))
            return
        if grown is not None and self.files is None:
            return
        content = self.render(path, result)
        if self.files is not None:
            if self._write_file(self.files[index], content) and grown is not None:
                grown.discard()
        elif self.several and self.form == "text":
            write(f"{path}\n{content}\n" if self.has_lines else f"{path}\t{content}")
        else:
            write(content)

    def _write_file(self, target: Path, content: str) -> bool:
        try:
            write_file(target, content)
        except OSError as error:
            self.failed += 1
            complain(f"{target} cannot be written: {error.strerror or error}")
            return False
        return True


def _incomplete(target: Path) -> Path:
    """The file for what there is of a result, whose name no result has."""
    return target.with_name(f"{target.stem}.incomplete{target.suffix}")


def write_file(target: Path, content: str) -> None:
    """Write a file whole or not at all; folders above it are made. Raises OSError."""
    # Names of files need not be text: what stands for their bytes is written as JSON would.
    with written_whole(target) as partial:
        partial.write_text(content, encoding="utf-8", errors="backslashreplace", newline="\n")


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a file to write in place of `target`, which it becomes at the end; folders above it are made.

    Raises OSError.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=".edgespeech-", dir=target.parent)  # short, as names may be long
    try:
        os.close(handle)
        yield Path(partial)
        Path(partial).chmod(0o644)
        Path(partial).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise
