"""Tokens that are matched in the text as a whole before it is split any further."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgespeech.errors import ProcessingError


@dataclass(frozen=True)
class AddedToken:
    """A token that is matched as a whole, and how much around it the match takes.

    Args:
        content: its text.
        single_word: match only between spaces.
        lstrip: take the white space on its left along.
        rstrip: take the white space on its right along.
        normalized: match in normalised text.
        special: it stands for no text (start, padding, ...).
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    def __str__(self) -> str:
        return self.content

    @classmethod
    def of(cls, value: Any, **defaults: bool) -> "AddedToken":
        """Read a token from its text, from its JSON form, or from an object with these attributes.

        Raises:
            ProcessingError: it is none of these.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls(value, **defaults)
        names = cls.__dataclass_fields__
        if not isinstance(value, Mapping):
            value = {name: getattr(value, name) for name in names if hasattr(value, name)}
        if not isinstance(value.get("content"), str):
            raise ProcessingError(f"expected a token as text or as an object with 'content', got {value!r}")
        return cls(**{**defaults, **{name: value[name] for name in names if name in value}})

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


class AddedTokens:
    """Added tokens by id, and the way they split a text."""

    def __init__(self) -> None:
        self.by_id: dict[int, AddedToken] = {}
        self.ids: dict[str, int] = {}
        self._pattern: re.Pattern[str] | None = None

    def __iter__(self) -> Iterator[tuple[int, AddedToken]]:
        return iter(sorted(self.by_id.items()))

    def __getitem__(self, text: str) -> AddedToken:
        return self.by_id[self.ids[text]]

    def put(self, token_id: int, token: AddedToken) -> None:
        """Add a token, or replace the one that has this id."""
        self.remove(token_id)
        self.by_id[token_id] = token
        self.ids[token.content] = token_id
        self._pattern = None

    def replace(self, tokens: Mapping[int, AddedToken]) -> None:
        """Hold these tokens, by id, and no others."""
        self.by_id, self.ids, self._pattern = {}, {}, None
        for token_id, token in tokens.items():
            self.put(token_id, token)

    def remove(self, token_id: int) -> None:
        """Take out the token of an id, if there is one."""
        token = self.by_id.pop(token_id, None)
        if token is not None:
            self.ids.pop(token.content, None)
            self._pattern = None

    def split(self, text: str) -> list[str]:
        """Cut a text into added tokens, the leftmost longest that match, and what stands between."""
        if self._pattern is None:
            longest_first = sorted(self.ids, key=len, reverse=True)
            self._pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})" if longest_first else r"(?!)")
        parts = [part for part in self._pattern.split(text) if part]
        for index, part in enumerate(parts):
            if part in self.ids:
                self._strip_around(parts, index, self[part])
        return [part for part in parts if part]

    @staticmethod
    def _strip_around(parts: list[str], index: int, token: AddedToken) -> None:
        left = parts[index - 1] if index else ""
        right = parts[index + 1] if index + 1 < len(parts) else ""
        if token.rstrip and right:
            parts[index + 1] = right.lstrip()
        if token.lstrip and left:
            parts[index - 1] = left.rstrip()
        if token.single_word and left and left[-1] != " ":
            parts[index - 1] += token.content
            parts[index] = ""
        elif token.single_word and right and right[0] != " ":
            parts[index + 1] = token.content + parts[index + 1]
            parts[index] = ""
