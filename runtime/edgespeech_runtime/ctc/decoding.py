"""What can be asked of CTC decoding beyond the most probable tokens, checked once, and the search that does it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ..errors import ArgumentError
from .alphabet import Alphabet
from .beam_search import BeamSearch
from .fusion import Fusion, FusionWeights, check_words
from .hotwords import checked_hotwords
from .language_model import NgramModel, open_language_model
from .step import BeamOptions

BEAMS = 100  # where a search is asked for without saying how wide
LanguageModelInput: TypeAlias = str | os.PathLike[str] | NgramModel | bool
Hotwords: TypeAlias = Sequence[str] | Mapping[str, float]


@dataclass(frozen=True)
class Decoding:
    """The options of `CtcModel.transcribe`; see there. Raises ArgumentError for one that is not what it should be."""

    beams: int | None = None
    language_model: LanguageModelInput | None = None
    hotwords: Hotwords | None = None
    n_best: int | None = None
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        for name in ("beams", "n_best"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ArgumentError(f"{name}: expected a number from 1 on, got {value!r}")
        if self.language_model is True:
            raise ArgumentError("language_model: expected a file, an NgramModel, or False for none, got True")
        if self.n_best is not None and self.n_best > self.width:
            raise ArgumentError(f"n_best: {self.n_best} texts cannot come of {self.width} beams; ask for more beams")

    @property
    def is_search(self) -> bool:
        """Whether anything asks for beams."""
        asked = (self.beams, self.hotwords, self.n_best, self.alpha, self.beta)
        return self.language_model not in (None, False) or any(option is not None for option in asked)

    @property
    def width(self) -> int:
        """How many beams are kept."""
        return BEAMS if self.beams is None else self.beams


class SearchMaker:
    """Makes searches over one alphabet, and keeps the last one, and the language model that was opened last."""

    def __init__(self, alphabet: Alphabet, own: tuple[Path, FusionWeights] | None = None) -> None:
        """`own` is the language model that a bundle carries: used where a search names none."""
        self._alphabet, self._own = alphabet, own
        self._opened: tuple[Any, NgramModel] | None = None
        self._fusion: tuple[Any, Fusion] | None = None
        self._search: tuple[Any, BeamSearch] | None = None

    def search(self, decoding: Decoding) -> BeamSearch:
        """The search that is asked for.

        Raises ArgumentError for options that contradict each other or the alphabet, LanguageModelError for a file that
        is not one.
        """
        hotwords = None if decoding.hotwords is None else checked_hotwords(decoding.hotwords, self._alphabet)
        options = BeamOptions(beam_width=decoding.width, prune_history=(decoding.n_best or 1) == 1, keep_unboosted=True)
        fusion = self._language_model(decoding)
        asked = None if hotwords is None else tuple(hotwords.items()), options, fusion
        kept = self._search  # another thread may put another one there
        if kept is None or kept[0] != asked:
            kept = self._search = asked, BeamSearch(self._alphabet, fusion, hotwords, options)
        return kept[1]

    def _language_model(self, decoding: Decoding) -> Fusion | None:
        given, weights = decoding.language_model, FusionWeights()
        if given is None and self._own is not None:
            given, weights = self._own
        chosen = {name: value for name in ("alpha", "beta") if (value := getattr(decoding, name)) is not None}
        if given is None or isinstance(given, bool):
            if chosen:
                raise ArgumentError(f"{next(iter(chosen))} weighs a language model, and there is none; give one too")
            return None
        weights = FusionWeights(**{**vars(weights), **chosen})
        model = self._open(given)
        kept = self._fusion
        if kept is None or kept[0] != (id(model), weights):
            kept = self._fusion = (id(model), weights), Fusion(model, weights)
        return kept[1]

    def _open(self, given: str | os.PathLike[str] | NgramModel) -> NgramModel:
        if not isinstance(given, str | os.PathLike):
            key: Any = id(given)
        else:
            path = Path(given)
            key = (path, path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else path
        kept = self._opened
        if kept is None or kept[0] != key:
            model: Any = open_language_model(given) if isinstance(given, str | os.PathLike) else given
            if not hasattr(model, "score"):
                raise ArgumentError(f"language_model: expected a file or an NgramModel, got {type(given).__name__}")
            check_words(model, self._alphabet)
            kept = self._opened = key, model
        return kept[1]
