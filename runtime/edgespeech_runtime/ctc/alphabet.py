"""What each token of a CTC model writes: letters, a space, the beginning of a word, or nothing.

Labels follow pyctcdecode: the blank is "", a token between words is " ", and in vocabularies of word pieces (BPE) a
piece that begins a word starts with "▁"; one that ends with "▁" ends its word too. Strings are told apart by 64-bit
hashes of their characters, so that texts which different tokens spell are the same text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..bundle.manifest import Vocabulary
from ..errors import ArgumentError

WORD_START = "▁"
BASE = 0x5851F42D4C957F2D  # odd; the base of the polynomial over code points, modulo 2**64


@dataclass(frozen=True)
class Alphabet:
    """The labels of all tokens (index = id); tokens in `excluded` are never taken. Raises ArgumentError."""

    labels: tuple[str, ...]
    is_bpe: bool = False
    excluded: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        used = [label for token_id, label in enumerate(self.labels) if token_id not in self.excluded]
        if used.count("") != 1:
            raise ArgumentError(f'alphabet: expected one blank, the label "", got {used.count("")}')
        if self.is_bpe and any(" " in label for label in used):
            raise ArgumentError('alphabet: expected word pieces that begin words with "▁", got one with a space')

    @property
    def blank(self) -> int:
        """Id of the CTC blank."""
        return next(i for i, label in enumerate(self.labels) if not label and i not in self.excluded)

    @property
    def has_words(self) -> bool:
        """Whether anything separates words."""
        return self.is_bpe or any(label == " " for i, label in enumerate(self.labels) if i not in self.excluded)

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary) -> "Alphabet":
        """The alphabet of a bundle: its special tokens are excluded, its word delimiter is the space."""
        labels = [token.lower() if vocabulary.lower_case else token for token in vocabulary.tokens]
        excluded = {i for i in vocabulary.special if i != vocabulary.delimiter_id}
        excluded |= {i for i, label in enumerate(labels) if not label}
        labels[vocabulary.blank] = ""
        if vocabulary.delimiter_id is not None:
            labels[vocabulary.delimiter_id] = " "
        used = [label for i, label in enumerate(labels) if i not in excluded]
        is_bpe = " " not in used and any(label.startswith(WORD_START) for label in used)
        return cls(tuple(labels), is_bpe, frozenset(excluded - {vocabulary.blank}))

    @cached_property
    def _letters(self) -> frozenset[str]:
        """What tokens write, and the space."""
        return frozenset(" ".join(label for i, label in enumerate(self.labels) if i not in self.excluded)) | {" "}

    def missing(self, text: str) -> list[str]:
        """The characters of a text that no token writes, in order, each once; spaces are no characters of words."""
        return [character for character in dict.fromkeys(text) if character not in self._letters]

    def respelled(self, text: str) -> str:
        """The text in the case of which the alphabet has the most letters: as it is, in capitals or small letters."""
        return min((text, text.upper(), text.lower()), key=lambda form: len(self.missing(form)))


class TokenTable:
    """The alphabet in arrays by token id: what each token writes, and how it changes the hash of a word."""

    def __init__(self, alphabet: Alphabet) -> None:
        self.blank = alphabet.blank
        self.texts: list[str] = []
        breaks, closes = [], []
        for label in alphabet.labels:
            begins = label.startswith(WORD_START) if alphabet.is_bpe else label == " "
            text = label[1:] if begins else label
            self.texts.append(text.removesuffix(WORD_START) if begins else text)
            breaks.append(begins)
            closes.append(begins and alphabet.is_bpe and label.endswith(WORD_START))
        self.breaks = np.array(breaks)  # the token ends the word before it
        self.closes = np.array(closes)  # the token asks for a new word behind its own
        self.lengths = np.array([len(text) for text in self.texts], np.int64)
        self.factors = np.array([signed(pow(BASE, len(text), 2**64)) for text in self.texts], np.int64)
        self.terms = np.array([word_hash(text) for text in self.texts], np.int64)
        self.allowed = np.array([token_id not in alphabet.excluded for token_id in range(len(alphabet.labels))])
        self.characters = "".join(dict.fromkeys("".join(self.texts[i] for i in np.flatnonzero(self.allowed))))


def word_hash(text: str) -> int:
    """A signed 64-bit hash of a text; that of "" is 0, and `hash(a + b) = hash(a) * BASE**len(b) + hash(b)`."""
    value = 0
    for character in text:
        value = (value * BASE + (ord(character) + 1) * 0x9E3779B97F4A7C15) % 2**64
    return signed(value)


def signed(value: int) -> int:
    """The signed number with the same 64 bits."""
    return value - 2**64 if value >= 2**63 else value


def log_probabilities(
    logits: npt.ArrayLike, alphabet: Alphabet, is_probability: bool = False
) -> npt.NDArray[np.float64]:
    """Log-softmax of logits `[frames, vocabulary]`, in their own precision, not below log(1e-15), as float64.

    With `is_probability` the values are probabilities already. Raises ArgumentError for another shape and for NaN.
    """
    values = np.ascontiguousarray(logits)
    if values.ndim != 2 or values.shape[1] != len(alphabet.labels):
        raise ArgumentError(
            f"logits: expected [frames, {len(alphabet.labels)}], a column for each token, got {list(values.shape)}"
        )
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32)
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ArgumentError("logits: expected numbers, got NaN or infinity; check what computed them")
    with np.errstate(divide="ignore"):
        if is_probability:
            scores = np.log(values)
        else:
            top = values.max(axis=1, keepdims=True, initial=np.finfo(values.dtype).min)
            shifted = values - top
            scores = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.clip(scores, values.dtype.type(np.log(1e-15)), 0).astype(np.float64)


def labels_of(tokens: Sequence[int], table: TokenTable) -> str:
    """What tokens of one word write."""
    return "".join(table.texts[token] for token in tokens)
