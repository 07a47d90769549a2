"""N-gram language models for the beam search: `open_language_model` opens a file, `NgramModel` scores words.

It knows words and their probabilities only; how they weigh against what was heard is the search's business.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ..errors import LanguageModelError, LanguageModelMissingError
from .ngrams.arpa import read_arpa
from .ngrams.compact import is_compact, open_compact
from .ngrams.kenlm.file import open_kenlm
from .ngrams.kenlm.header import PREFIX, is_kenlm
from .ngrams.prefix_tree import PrefixTree
from .ngrams.tables import BEGIN, END, UNKNOWN
from .ngrams.trie import Context, build

State = Context  # ids of the last words that later words can depend on
SCORES = 2**20  # scores that are kept; then all are forgotten


class Store(Protocol):
    """What a kind of file must answer; ids are its own."""

    order: int

    def find(self, word: bytes) -> int | None:
        """Id of a word."""

    def longest(self, context: Context, word: int) -> tuple[float, int, int]:
        """Of the longest n-gram that ends `context` and `word`: log10 probability, order, words of the next state."""

    def backoff(self, context: Context) -> float:
        """Log10 back-off weight of an n-gram; 0 for one that is not there."""


class NgramModel:
    """Probabilities of words after other words, with back-off: those of `kenlm.Model` on the same file."""

    def __init__(self, store: Store, words: "Words | None", name: str) -> None:
        """Raises LanguageModelError for a model without the markers <s> and </s>."""
        self.order = store.order
        self._store, self._words, self._name = store, words, name
        self._scores: dict[tuple[State, str], tuple[float, State]] = {}
        self._ids: dict[str, int] = {}
        self._prefixes: dict[str, bool] = {}
        begin, end, unknown = store.find(BEGIN), store.find(END), store.find(UNKNOWN)
        if begin is None or end is None or unknown is None:
            missing = BEGIN if begin is None else END
            raise LanguageModelError(f"{name} has no {missing.decode()}: build it from whole sentences")
        self._begin, self._end, self._unknown = begin, end, unknown

    def begin(self, boundary: bool = True) -> State:
        """The state at the beginning of a sentence, or, without a boundary, before anything."""
        return (self._begin,) if boundary and self.order > 1 else ()

    def score(self, state: State, word: str) -> tuple[float, State]:
        """Log10 probability of `word` in a state, and the state after it; an unknown word counts as <unk>."""
        key = state, word
        cached = self._scores.get(key)
        if cached is None:
            if len(self._scores) >= SCORES:
                self._scores.clear()
            cached = self._scores[key] = self._score(state, self._id(word))
        return cached

    def score_many(self, pairs: Iterable[tuple[State, str]]) -> list[tuple[float, State]]:
        """`score` of each pair of a state and a word."""
        score = self.score
        return [score(state, word) for state, word in pairs]

    def end(self, state: State) -> float:
        """Log10 probability that the sentence ends in a state."""
        return self.score(state, END.decode())[0]

    def __contains__(self, word: object) -> bool:
        """Whether a word is in the vocabulary; <unk> is not."""
        return isinstance(word, str) and self._id(word) != self._unknown

    @cached_property
    def words(self) -> Sequence[str] | None:
        """The vocabulary without <s>, </s> and <unk>; None for a file that does not hold the strings."""
        if self._words is None:
            return None
        markers = {BEGIN, END, UNKNOWN}
        return [word.decode() for word in self._words if word not in markers]

    @cached_property
    def prefix_tree(self) -> PrefixTree:
        """All beginnings of its words, for the search; none where the file does not hold the strings."""
        return PrefixTree(self.words or ())

    def has_prefix(self, prefix: str) -> bool:
        """Whether any word begins with `prefix`. Raises LanguageModelError for a file without the text of its words."""
        if self._words is None:
            raise LanguageModelError(
                f"{self._name} does not hold its words as text: build it with its vocabulary, or take the ARPA file"
            )
        cached = self._prefixes.get(prefix)
        if cached is None:
            if len(self._prefixes) >= SCORES:
                self._prefixes.clear()
            cached = self._prefixes[prefix] = self._words.has_prefix(prefix.encode("utf-8", "surrogatepass"))
        return cached

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process the file is opened again."""
        return open_language_model, (os.path.abspath(self._name),)  # noqa: PTH100  (resolve would follow links)

    def _id(self, word: str) -> int:
        cached = self._ids.get(word)
        if cached is None:
            if len(self._ids) >= SCORES:
                self._ids.clear()
            word_id = self._store.find(word.encode("utf-8", "surrogatepass"))
            cached = self._ids[word] = self._unknown if word_id is None else word_id
        return cached

    def _score(self, state: State, word: int) -> tuple[float, State]:
        probability, length, kept = self._store.longest(state, word)
        for count in range(length, len(state) + 1):
            probability += self._store.backoff(state[len(state) - count :])
        after = (*state, word)
        return probability, after[len(after) - kept :]


class Words(Protocol):
    """The vocabulary of a file that holds it as text."""

    def __iter__(self) -> Iterator[bytes]:
        """All words."""

    def has_prefix(self, prefix: bytes) -> bool:
        """Whether any word begins with these bytes."""


def open_language_model(path: str | os.PathLike[str]) -> NgramModel:
    """Open an n-gram model: an ARPA file, plain or .gz, a KenLM binary file of format version 5, or our own.

    What a file is, its first bytes say, not its name.

    Raises LanguageModelMissingError where there is none, LanguageModelError for a file that is damaged or of another
    kind.
    """
    file = Path(path)
    if not file.exists():
        raise LanguageModelMissingError(file)
    if not file.is_file():
        raise LanguageModelError(f"{file} is a folder: a language model is a file")
    try:
        with file.open("rb") as stream:
            beginning = stream.read(len(PREFIX))
        if is_kenlm(beginning):
            search, words, _ = open_kenlm(file)
            return NgramModel(search, words, str(file))
        trie = open_compact(file) if is_compact(beginning) else build(read_arpa(file))
    except LanguageModelError as error:
        raise LanguageModelError(str(error) if str(error).startswith(str(file)) else f"{file}: {error}") from None
    return NgramModel(trie, trie.words, str(file))
