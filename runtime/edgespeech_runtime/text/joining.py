"""Texts of neighbouring parts of a recording as one: with a space between, but where a script writes none."""

import re
from collections.abc import Iterable

# Letters and punctuation of scripts that put no space between words: Thai, Lao, Burmese, Khmer; Chinese, Japanese.
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u312f\u31f0-\u9fff\uf900-\ufaff\uff00-\uff9f]")


def gap(before: str, behind: str) -> str:
    """What stands between two texts: a space, or nothing beside a script without spaces or an empty text."""
    if not before or not behind or before[-1].isspace() or behind[0].isspace():
        return ""
    return "" if UNSPACED.match(before[-1]) and UNSPACED.match(behind[0]) else " "


def joined(texts: Iterable[str]) -> str:
    """The texts, without the spaces around them, as one."""
    whole = ""
    for text in map(str.strip, texts):
        whole += gap(whole, text) + text
    return whole


class JoinedStream:
    """The pieces of several texts, one text after the other, as pieces of the one that `joined` makes of them."""

    def __init__(self) -> None:
        self._last = ""  # the last letter that was given
        self._spaces = ""  # that belong to the text only if more of it follows
        self._is_first = True  # whether nothing of the text that goes on was given

    def add(self, piece: str) -> str:
        """Take the next piece of a text; return what is certain of the whole."""
        text = piece.lstrip() if self._is_first else self._spaces + piece
        body = text.rstrip()
        if not body:
            self._spaces = "" if self._is_first else text
            return ""
        before = gap(self._last, body) if self._is_first else ""
        self._spaces, self._is_first, self._last = text[len(body) :], False, body[-1]
        return before + body

    def end(self) -> None:
        """A text ends; another one may follow."""
        self._spaces, self._is_first = "", True
