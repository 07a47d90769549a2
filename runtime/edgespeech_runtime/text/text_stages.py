"""Stages that work on running text, in pieces whose borders mean nothing; `stages` says what a stage is."""


class TextReplace:
    """`pattern` becomes `content` wherever it stands, from the left, also across pieces."""

    def __init__(self, pattern: str, content: str) -> None:
        self._pattern, self._content = pattern, content
        self._held = ""

    def feed(self, text: str) -> list[str]:
        """Return the text but for an end that the pattern may begin with."""
        *done, rest = (self._held + text).split(self._pattern)
        sizes = range(min(len(self._pattern) - 1, len(rest)), 0, -1)
        held = next((size for size in sizes if self._pattern.startswith(rest[-size:])), 0)
        self._held = rest[len(rest) - held :]
        return [self._content.join((*done, rest[: len(rest) - held]))]

    def end(self) -> list[str]:
        """Return what began like the pattern and was not it."""
        held, self._held = self._held, ""
        return [held]


class TextStrip:
    """The text loses up to `start` times the character `content` at its start and up to `stop` times at its end."""

    def __init__(self, content: str, start: int, stop: int) -> None:
        self._content, self._start, self._stop = content, start, stop
        self._held = ""

    def feed(self, text: str) -> list[str]:
        """Return the text but for an end that may have to go."""
        while self._start and text:
            self._start = self._start - 1 if text[0] == self._content else 0
            text = text.removeprefix(self._content) if text[0] == self._content else text
        text = self._held + text
        run = min(len(text) - len(text.rstrip(self._content)), self._stop)
        self._held = text[len(text) - run :]
        return [text[: len(text) - run]]

    def end(self) -> list[str]:
        """Return nothing: what was held back is the end that goes."""
        return []


class Trim:
    """White space at the start and at the end of the text goes."""

    def __init__(self) -> None:
        self._has_begun, self._held = False, ""

    def feed(self, text: str) -> list[str]:
        """Return the text but for white space at its end."""
        text = self._held + (text if self._has_begun else text.lstrip())
        self._has_begun = self._has_begun or bool(text)
        certain = text.rstrip()
        self._held = text[len(certain) :]
        return [certain]

    def end(self) -> list[str]:
        """Return nothing: what was held back is the end that goes."""
        return []


class LowerCase:
    """The text in lower case. A capital sigma is held back until its word ends: only then is its form certain."""

    SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"

    def __init__(self) -> None:
        self._word = ""  # the word that the text ends in, as it came
        self._given = 0  # how much of it was returned, as it came

    def feed(self, text: str) -> list[str]:
        """Return the text but for a last word from its first sigma on."""
        text = self._word + text
        words = text.split()
        start = len(text) - len(words[-1]) if words and not text[-1].isspace() else len(text)
        sigma = text.find(self.SIGMA, start)
        return [self._give(text, start, len(text) if sigma < 0 else sigma)]

    def _give(self, text: str, start: int, end: int) -> str:
        """Return the text up to `end` without what was returned before; the word that is going on starts at `start`."""
        lower = (text[:start].lower() + text[start:end].lower())[len(text[: self._given].lower()) :]
        self._word, self._given = text[start:], end - start
        return lower

    def end(self) -> list[str]:
        """Return the rest."""
        before = self._word[: self._given].lower()
        return [self._word.lower()[len(before) :]]


TEXT_STAGES = (TextReplace, TextStrip, Trim, LowerCase)
