"""A given text as the tokens of a CTC vocabulary: which letters have a token, which are only said.

Words are what stands between white space; where the vocabulary has no delimiter of words, each letter is a word, as it
is in transcripts. A text of phonemes has white space between them. It knows nothing of audio.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...bundle.manifest import Vocabulary
from ...errors import ArgumentError

ANYTHING = "*"  # a word of the text that stands for any speech, or none
SAID = "%&@#+=/$"  # punctuation that is read out, among other symbols
APOSTROPHES = str.maketrans("\u2019\u02bc\uff07", "'''")
SUBWORD = "\u2581"  # what begins a word in vocabularies of word pieces


@dataclass(frozen=True)
class Letter:
    """One or more characters of a word, `first <= character < last`, and the number of their token in the word.

    `token` is None for what is read out but is not in the vocabulary: a digit, another script.
    """

    first: int
    last: int
    token: int | None


@dataclass(frozen=True)
class Spelled:
    """One word of the text as it was given, its token ids, and its letters; punctuation is none of them."""

    text: str
    tokens: tuple[int, ...]
    letters: tuple[Letter, ...]


def spell_out(text: str, vocabulary: Vocabulary) -> list[Spelled]:
    """The words of a text, `*` among them. Raises ArgumentError for a text without words, or none in the vocabulary."""
    table = _table(vocabulary)
    words = [Spelled(word, (), ()) if word == ANYTHING else _word(word, table) for word in text.split()]
    if (
        vocabulary.word_delimiter is None
        and not vocabulary.separator
        and not any(token.startswith(SUBWORD) for token in table)
    ):
        words = [part for word in words for part in _letter_by_letter(word)]
    if not any(word.text != ANYTHING for word in words):
        raise ArgumentError("text: expected the words that are said, got none")
    if not any(word.tokens for word in words):
        examples = " ".join(sorted(filter(str.isalnum, table), key=lambda token: (len(token), token))[:8])
        raise ArgumentError(
            f"text: no letter of {_short(text)!r} is in the model's vocabulary ({examples} ...): "
            "write it out in the model's script"
        )
    return words


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."


def _table(vocabulary: Vocabulary) -> dict[str, int]:
    """Ids of the tokens that letters can be, the lowest of equals."""
    barred = {vocabulary.blank, vocabulary.delimiter_id, *vocabulary.special}
    named = {token: index for index, token in reversed(list(enumerate(vocabulary.tokens))) if index not in barred}
    return {token: index for token, index in named.items() if token and not token.isspace()}


def _word(text: str, table: Mapping[str, int]) -> Spelled:
    tokens: list[int] = []
    letters: list[Letter] = []
    for first, last, ids in _parts(text, table):
        if ids is None:
            letters.append(Letter(first, last, None))
        for token in ids or ():
            letters.append(Letter(first, last, len(tokens)))
            tokens.append(token)
    return Spelled(text, tuple(tokens), tuple(letters))


def _letter_by_letter(word: Spelled) -> Iterator[Spelled]:
    """A word for each letter, with the punctuation behind it; that before the first is the first one's."""
    groups = list(dict.fromkeys((letter.first, letter.last) for letter in word.letters))
    if len(groups) < 2:
        yield word
        return
    for position, (first, _) in enumerate(groups):
        start = first if position else 0
        stop = groups[position + 1][0] if position + 1 < len(groups) else len(word.text)
        own = [letter for letter in word.letters if letter.first == first]
        tokens = tuple(word.tokens[letter.token] for letter in own if letter.token is not None)
        numbers = iter(range(len(tokens)))
        letters = tuple(
            Letter(each.first - start, each.last - start, None if each.token is None else next(numbers)) for each in own
        )
        yield Spelled(word.text[start:stop], tokens, letters)


def _parts(text: str, table: Mapping[str, int]) -> Iterator[tuple[int, int, tuple[int, ...] | None]]:
    """First and last character of each letter with its tokens, None for one that has none; the longest match first."""
    longest = max(map(len, table), default=1)
    at = 0
    while at < len(text):
        for last in range(min(len(text), at + longest), at, -1):
            if (ids := _known(text[at:last], table, begins=at == 0)) is not None:
                yield at, last, ids
                break
        else:
            last = at + 1
            while last < len(text) and unicodedata.combining(text[last]):
                last += 1
            if (ids := _composed(text[at:last], table)) is not None or _is_said(text[at]):
                yield at, last, ids
        at = last


def _known(piece: str, table: Mapping[str, int], begins: bool) -> tuple[int, ...] | None:
    """The token of a piece in whatever case the vocabulary has; at the beginning of a word, a token that begins one."""
    plain = piece.translate(APOSTROPHES)
    forms = [piece, plain, plain.upper(), plain.lower()]
    if begins:
        forms = [*(SUBWORD + form for form in forms), *forms]
    return next(((table[form],) for form in forms if form in table), None)


def _composed(piece: str, table: Mapping[str, int]) -> tuple[int, ...] | None:
    """Tokens of a character by its composed or compatible form, or by its upper case of several letters."""
    for form in (unicodedata.normalize("NFC", piece), unicodedata.normalize("NFKC", piece)):
        for letters in (form, form.upper(), form.lower()):
            if letters and all(letter in table for letter in letters):
                return tuple(table[letter] for letter in letters)
    return None


def _is_said(character: str) -> bool:
    """Whether a character is read out: letters, digits, symbols, but no punctuation."""
    kind = unicodedata.category(character)
    return (kind[0] in "LNS" and kind != "Sk" and character != "|") or character in SAID
