"""Offsets of CTC output: which frames each token and each word came from. Seconds are the caller's matter."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, TypedDict

import numpy as np
from edgespeech_runtime.ctc.greedy import collapse


class CharOffset(TypedDict):
    """A token as it stands in the text, and its frames `start_offset <= frame < end_offset`."""

    char: str
    start_offset: int
    end_offset: int


class WordOffset(TypedDict):
    """A word, and its frames `start_offset <= frame < end_offset`."""

    word: str
    start_offset: int
    end_offset: int


class Delimiter(NamedTuple):
    """The token that separates words (None: the vocabulary has none) and the text that stands for it."""

    token: str | None
    text: str


def char_offsets(
    tokens: Sequence[str], blank: str | None, delimiter: Delimiter, group: bool = True
) -> list[CharOffset]:
    """Collapse one token per frame, `[frames]`, by the CTC rule: repeats merge (with `group`), blanks go.

    Tokens count as the same if their texts are, whatever their ids were.
    """
    codes: dict[str, int] = {}
    frames = np.array([codes.setdefault(token, len(codes)) for token in tokens], np.int64)
    texts = [delimiter.text if token == delimiter.token else token for token in codes]
    spans = collapse(frames, -1 if blank is None else codes.get(blank, -1), group)
    return [
        {"char": texts[span.token_id], "start_offset": span.start_frame, "end_offset": span.end_frame} for span in spans
    ]


def word_offsets(characters: Sequence[CharOffset], delimiter: str) -> list[WordOffset]:
    """Join the characters between delimiters into words; several delimiters in a row make no empty word."""
    words: list[WordOffset] = []
    for is_delimiter, group in groupby(characters, lambda character: character["char"] == delimiter):
        if not is_delimiter:
            members = list(group)
            text = "".join(member["char"] for member in members)
            words.append(
                {"word": text, "start_offset": members[0]["start_offset"], "end_offset": members[-1]["end_offset"]}
            )
    return words
