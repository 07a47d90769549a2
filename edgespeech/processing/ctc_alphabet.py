"""The labels of a vocabulary in the form that pyctcdecode gives them: `alphabet.json` holds these."""

import re
from collections.abc import Sequence

from edgespeech_runtime.ctc.alphabet import WORD_START, Alphabet

from edgespeech.errors import ProcessingError

BLANK = re.compile(r"[<\[]pad[>\]]", re.IGNORECASE)
UNKNOWN = re.compile(r"[<\[]unk[>\]]", re.IGNORECASE)
SPECIAL = re.compile(r"[<\[].+[>\]]")
CONTINUATION = "##"  # BERT's word pieces mark what goes on instead of what begins
UNKNOWN_LETTER, UNKNOWN_PIECE = "⁇", "▁⁇▁"


def build_alphabet(labels: Sequence[str]) -> Alphabet:
    """The alphabet of a vocabulary, its tokens in the order of their ids.

    `<pad>` (or `_`) becomes the blank, which is appended where there is none; `|` becomes the space and `<unk>` a sign.
    A vocabulary is one of word pieces where tokens begin with `▁` or `##`.

    Raises:
        ProcessingError: a token stands twice, or word pieces have a space in them.
    """
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if list(labels).count(label) > 1)
        raise ProcessingError(f"labels: {twice!r} stands there twice; each token has one id")
    is_bpe = any(label.startswith((WORD_START, CONTINUATION)) for label in labels)
    if is_bpe and any(" " in label for label in labels):
        raise ProcessingError("labels: word pieces hold no spaces, and one of these does; leave the space out")
    spelled = _pieces(labels) if is_bpe else _letters(labels)
    if "" not in spelled:
        spelled.append("")
    return Alphabet(tuple(spelled), is_bpe)


def _letters(labels: Sequence[str]) -> list[str]:
    spelled = list(labels)
    if "|" in spelled and " " not in spelled:
        spelled[spelled.index("|")] = " "
    spelled = ["" if BLANK.fullmatch(label) else label for label in spelled]
    if "_" in spelled and "" not in spelled:
        spelled[spelled.index("_")] = ""
    return [UNKNOWN_LETTER if UNKNOWN.fullmatch(label) else label for label in spelled]


def _pieces(labels: Sequence[str]) -> list[str]:
    spelled = list(labels)
    if any(label.startswith(CONTINUATION) for label in labels):
        spelled = [_begun(label) for label in spelled]
    spelled = ["" if BLANK.fullmatch(label) else label for label in spelled]
    return [UNKNOWN_PIECE if UNKNOWN.fullmatch(label) else label for label in spelled]


def _begun(label: str) -> str:
    if label.startswith(CONTINUATION):
        return label.removeprefix(CONTINUATION)
    is_whole = SPECIAL.fullmatch(label) or label in ("", WORD_START, UNKNOWN_PIECE)
    return label if is_whole else WORD_START + label
