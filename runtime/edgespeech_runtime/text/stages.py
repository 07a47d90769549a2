"""Stages between tokens and text, one at a time in and as many as are certain out.

A stage takes tokens, or pieces of text, in order and gives back what later ones cannot change; `end` gives back the
rest. Fed with a whole sequence, stages in a row do what a decoder of the `tokenizers` library does with it. Stages
know no ids and no special tokens.
"""

import codecs
import re
from typing import Protocol

from .clean_up import WORD_PIECE_CLEAN_UP
from .text_stages import LowerCase, TextReplace, TextStrip, Trim

BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>")  # the plus sign is read by the library too
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Stage(Protocol):
    """A stage: see the module."""

    def feed(self, token: str) -> list[str]:
        """Take the next token; return what is certain."""
        ...

    def end(self) -> list[str]:
        """Return what was held back, as no token follows."""
        ...


class WordPiece:
    """Tokens with `prefix` continue a word, all others but the first begin one; `clean_up` works on each by itself."""

    def __init__(self, prefix: str = "##", clean_up: bool = True) -> None:
        self._prefix, self._clean_up, self._is_first = prefix, clean_up, True

    def feed(self, token: str) -> list[str]:
        """Return the token as it stands in the text."""
        if not self._is_first:
            token = token[len(self._prefix) :] if token.startswith(self._prefix) else f" {token}"
        self._is_first = False
        for spaced, tight in WORD_PIECE_CLEAN_UP if self._clean_up else ():
            token = token.replace(spaced, tight)
        return [token]

    def end(self) -> list[str]:
        """Return nothing: no token is held back."""
        return []


class Metaspace:
    """Each `character` is a space; in the first token it is nothing where encoding has put it there (`prepended`)."""

    def __init__(self, character: str = "\N{LOWER ONE EIGHTH BLOCK}", prepended: bool = True) -> None:
        self._character, self._first = character, "" if prepended else " "

    def feed(self, token: str) -> list[str]:
        """Return the token as it stands in the text."""
        token = token.replace(self._character, self._first)
        self._first = " "
        return [token]

    def end(self) -> list[str]:
        """Return nothing: no token is held back."""
        return []


class Replace:
    """Within each token, `pattern` becomes `content`."""

    def __init__(self, pattern: str, content: str) -> None:
        self._pattern, self._content = pattern, content

    def feed(self, token: str) -> list[str]:
        """Return the token as it stands in the text."""
        return [token.replace(self._pattern, self._content)]

    def end(self) -> list[str]:
        """Return nothing: no token is held back."""
        return []


class Strip:
    """Each token loses up to `start` times `content` at its start and up to `stop` times at its end."""

    def __init__(self, content: str, start: int, stop: int) -> None:
        self._content, self._start, self._stop = content, start, stop

    def feed(self, token: str) -> list[str]:
        """Return the token as it stands in the text."""
        stage = TextStrip(self._content, self._start, self._stop)
        return ["".join((*stage.feed(token), *stage.end()))]

    def end(self) -> list[str]:
        """Return nothing: no token is held back."""
        return []


class Suffix:
    """`suffix` ends a word: it is a space, or nothing in the last token, which is held back therefore."""

    def __init__(self, suffix: str = "</w>") -> None:
        self._suffix = suffix
        self._held: str | None = None

    def feed(self, token: str) -> list[str]:
        """Return the token before."""
        held, self._held = self._held, token
        return [] if held is None else [held.replace(self._suffix, " ")]

    def end(self) -> list[str]:
        """Return the last token."""
        return [] if self._held is None else [self._held.replace(self._suffix, "")]


class Spaces:
    """A space stands between tokens."""

    def __init__(self) -> None:
        self._space = ""

    def feed(self, token: str) -> list[str]:
        """Return the token, behind a space unless it is the first."""
        token, self._space = self._space + token, " "
        return [token]

    def end(self) -> list[str]:
        """Return nothing: no token is held back."""
        return []


class Characters:
    """A CTC vocabulary without CTC: `blank` is nothing, and `delimiter` is written as `replacement`."""

    def __init__(self, blank: str | None, delimiter: str | None, replacement: str = " ") -> None:
        texts = {delimiter: replacement, blank: ""}  # a blank that is the delimiter too is nothing
        self._texts = {token: text for token, text in texts.items() if token is not None}

    def feed(self, token: str) -> list[str]:
        """Return the token as it stands in the text."""
        return [self._texts.get(token, token)]

    def end(self) -> list[str]:
        """Return nothing: no token is held back."""
        return []


class ByteLevel:
    """Each character stands for a byte (Radford et al. 2019); a token with any other stands for its own UTF-8 bytes.

    Bytes that are no UTF-8 become replacement characters, one for each longest part that a character could begin with.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: str) -> list[str]:
        """Return the characters that are complete."""
        codes = [BYTES.get(character) for character in token]
        valid = [code for code in codes if code is not None]
        data = bytes(valid) if len(valid) == len(codes) else token.encode("utf-8", "replace")
        return [self._decoder.decode(data)]

    def end(self) -> list[str]:
        """Return what stands for a character that is incomplete."""
        return [self._decoder.decode(b"", final=True)]


class ByteFallback:
    """Tokens such as `<0xE4>` stand for bytes: a run of them is text if it is UTF-8, else a replacement for each."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, token: str) -> list[str]:
        """Return nothing for a byte; for anything else, it and the run of bytes before it."""
        if (match := BYTE_TOKEN.fullmatch(token)) is not None:
            self._bytes.append(int(match[1], 16))
            return []
        return [*self.end(), token]

    def end(self) -> list[str]:
        """Return the text of the run of bytes."""
        data, self._bytes = bytes(self._bytes), bytearray()
        if not data:
            return []
        try:
            return [data.decode("utf-8")]
        except UnicodeDecodeError:
            return [REPLACEMENT] * len(data)


class Continued:
    """A space stands between tokens, and then `marker`, whose last character is that space, is taken out.

    Tokens in `whole` stand apart: nothing is taken out between them and their neighbours.
    """

    def __init__(self, marker: str = "@@ ", whole: tuple[str, ...] = ()) -> None:
        self._marker, self._whole = marker, frozenset(whole)
        self._parts = 0  # stretches of text so far, with spaces between
        self._open()

    def _open(self) -> None:
        self._spaces, self._replace = Spaces(), TextReplace(self._marker, "")
        self._has_tokens = self._has_text = False

    def feed(self, token: str) -> list[str]:
        """Return the text that is certain."""
        if token in self._whole:
            text = self._written(self._replace.end())
            self._open()
            space = " " if self._parts else ""
            self._parts += 1
            return [*text, space + token]
        self._has_tokens = True
        return self._written([piece for spaced in self._spaces.feed(token) for piece in self._replace.feed(spaced)])

    def _written(self, pieces: list[str]) -> list[str]:
        """Put a space before the first text of a stretch, if another was before it."""
        text = "".join(pieces)
        if text and not self._has_text:
            self._has_text = True
            text = f" {text}" if self._parts else text
            self._parts += 1
        return [text]

    def end(self) -> list[str]:
        """Return the rest; a last stretch of empty tokens has its space too."""
        text = self._written(self._replace.end())
        return [" "] if self._has_tokens and not self._has_text and self._parts else text


def _byte_table() -> dict[str, int]:
    """Return the byte that each character stands for: printable ones for themselves, the rest from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(0x100) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


BYTES = _byte_table()

# The names under which a bundle knows the stages.
STAGES: dict[str, type[Stage]] = {
    "wordpiece": WordPiece,
    "metaspace": Metaspace,
    "byte_level": ByteLevel,
    "byte_fallback": ByteFallback,
    "continued": Continued,
    "characters": Characters,
    "spaces": Spaces,
    "suffix": Suffix,
    "replace": Replace,
    "strip": Strip,
    "text_replace": TextReplace,
    "text_strip": TextStrip,
    "trim": Trim,
    "lower": LowerCase,
}
