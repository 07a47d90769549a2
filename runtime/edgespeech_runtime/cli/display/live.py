"""Texts on stdout while they come into being. When all is said, stdout holds what it would hold without."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import complain
from .output import write

if TYPE_CHECKING:
    from ..recognition import Result


@dataclass
class LiveText:
    """Writes the text of one recording after the other; errors go to stderr and are counted.

    With `several`, a text stands behind its file's name.
    """

    several: bool
    failed: int = 0
    _has_begun: bool = field(default=False, init=False)
    _held: str = field(default="", init=False)  # space that belongs to the text only if more follows

    def add(self, path: Path, piece: str) -> None:
        """Write the next piece of a recording's text. Raises OSError."""
        text = self._held + piece if self._has_begun else piece.lstrip()
        body = text.rstrip()
        self._held = text[len(body) :]
        if body:
            self._begin(path)
            write(body)

    def put(self, index: int, path: Path, result: "Result") -> None:
        """End a recording's text, which was written piece by piece. Raises OSError."""
        if isinstance(result, Exception):
            self.failed += 1
            if self._has_begun:
                write("\n")
            complain(result)
        else:
            self._begin(path)
            write("\n")
        self._has_begun, self._held = False, ""

    def _begin(self, path: Path) -> None:
        if self.several and not self._has_begun:
            write(f"{path}\t")
        self._has_begun = True
