"""The text: what is final with the time of each word under it, and what is being said, its tail dim."""

from html import escape
from typing import TYPE_CHECKING

from PySide6.QtGui import QPalette, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextEdit, QWidget

if TYPE_CHECKING:
    from edgespeech_runtime import TextSegment, Word

LARGER = 3  # points: captions are read from further away than a form
LEAST = 20  # characters of a line of words with times
CELL = "padding-right: 8px"


class TranscriptView(QTextEdit):
    """Shows segments of text one below the other, and below them the one that goes on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        font = self.font()
        font.setPointSize(font.pointSize() + LARGER)
        self.setFont(font)
        self._end = 0  # where what is final ends
        self._shown = ""
        self.has_times = True

    def restart(self) -> None:
        """Show nothing."""
        self.clear()
        self._end, self._shown = 0, ""

    def add(self, segment: "TextSegment") -> None:
        """Show a segment that is final, in place of the one that went on."""
        cursor = self._cut()
        if segment.text.strip():
            if segment.words and self.has_times:
                cursor.insertHtml("".join(map(self._table, lines(segment.words, self._characters()))))
            else:
                cursor.insertHtml(f"<p>{escape(segment.text)}</p>")
            cursor.insertBlock()
        cursor.endEditBlock()
        self._end = cursor.position()
        self.moveCursor(QTextCursor.MoveOperation.End)

    def show_partial(self, committed: str, tentative: str = "") -> None:
        """Show the segment that goes on: `committed` text stays, the `tentative` tail is dim, since it may change."""
        if committed + tentative == self._shown:
            return
        cursor = self._cut()
        self._shown = committed + tentative
        cursor.insertText(committed, self._format(QPalette.ColorRole.Text))
        cursor.insertText(tentative, self._format(QPalette.ColorRole.PlaceholderText))
        cursor.endEditBlock()
        self.moveCursor(QTextCursor.MoveOperation.End)

    def _cut(self) -> QTextCursor:
        """Begin a change that is shown at once, by taking away what is behind the end of the final text."""
        cursor = self.textCursor()
        cursor.beginEditBlock()
        cursor.setPosition(self._end)
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        self._shown = ""
        return cursor

    def _format(self, role: QPalette.ColorRole) -> QTextCharFormat:
        form = QTextCharFormat()
        form.setForeground(self.palette().brush(role))
        return form

    def _characters(self) -> int:
        """How many stand in a line."""
        return max(LEAST, self.viewport().width() // self.fontMetrics().averageCharWidth() - 4)

    def _table(self, words: "list[Word]") -> str:
        """Words in a row, and when each begins and ends in the row below."""
        colour = self.palette().color(QPalette.ColorRole.PlaceholderText)
        small = f"font-size: {self.font().pointSize() - LARGER}pt; color: rgba{colour.getRgb()}"
        said = "".join(f'<td style="{CELL}">{escape(word.text)}</td>' for word in words)
        times = "".join(
            f'<td style="{CELL}"><span style="{small}">{word.start:.2f}–{word.end:.2f}</span></td>' for word in words
        )
        return f"<table><tr>{said}</tr><tr>{times}</tr></table>"


def lines(words: "list[Word]", most: int) -> "list[list[Word]]":
    """Words in lines of so many characters at most; a word takes at least as many as its times."""
    found: list[list[Word]] = []
    width = most
    for word in words:
        own = max(len(word.text), len(f"{word.start:.2f}-{word.end:.2f}")) + 1
        if width + own > most:
            found.append([])
            width = 0
        found[-1].append(word)
        width += own
    return found
