"""The n-gram model that a bundle carries: where it comes from, whether it fits, and how it lies in the bundle.

ARPA files are written as compact ones; KenLM's and compact files are copied. A checkpoint's own lies where
`Wav2Vec2ProcessorWithLM` of transformers has it: `language_model/`, one model beside `attrs.json` with its weights.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgespeech_runtime.bundle.manifest import LanguageModel, Vocabulary
from edgespeech_runtime.ctc.alphabet import Alphabet
from edgespeech_runtime.ctc.fusion import check_words
from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.errors import EdgeSpeechRuntimeError

from edgespeech.checkpoint import read_json
from edgespeech.ngrams.compact import write_compact
from edgespeech.ngrams.files import kind_of, read_tables
from edgespeech_export.errors import ExportError

FOLDER = "language_model"
ATTRIBUTES = "attrs.json"
BESIDE = (ATTRIBUTES, "unigrams.txt")  # files of that folder that are no model
PAGES = (".md",)
COMPACT, KENLM = "language_model.lm", "language_model.bin"
NAMES = {"alpha": "alpha", "beta": "beta", "unk_score_offset": "unknown_offset", "score_boundary": "score_boundary"}


@dataclass(frozen=True)
class BundledModel:
    """A model's file, and how a search is to weigh it: fields of the manifest's `LanguageModel`; None: its defaults."""

    path: Path
    alpha: float | None = None
    beta: float | None = None
    unknown_offset: float | None = None
    score_boundary: bool | None = None

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "unknown_offset"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ExportError(f"language model: {name}: expected a number, got {value!r}")

    def check(self, vocabulary: Vocabulary) -> None:
        """Open it. Raises ExportError where it is damaged, or none of its words can be written with the vocabulary."""
        try:
            check_words(open_language_model(self.path), Alphabet.from_vocabulary(vocabulary))
        except EdgeSpeechRuntimeError as error:
            raise ExportError(str(error)) from error

    def write(self, folder: Path) -> LanguageModel:
        """Write it into a bundle's folder, and return its entry in the manifest."""
        kind = kind_of(self.path)
        name = KENLM if kind == "kenlm" else COMPACT
        if kind == "arpa":
            write_compact(read_tables(self.path), folder / name)
        else:
            shutil.copyfile(self.path, folder / name)
        weights = {field: getattr(self, field) for field in NAMES.values() if getattr(self, field) is not None}
        return LanguageModel(name, **weights)


def of_checkpoint(folder: str | os.PathLike[str]) -> BundledModel | None:
    """The model in a checkpoint's folder; None where it has none. Raises ExportError where it has several."""
    home = Path(folder) / FOLDER
    if not home.is_dir():
        return None
    files = sorted(path for path in home.iterdir() if path.name not in BESIDE and path.suffix not in PAGES)
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise ExportError(f"{home}: expected one language model, got {names}; name one with --lm, or take --no-lm")
    attributes: dict[str, Any] = read_json(home / ATTRIBUTES) if (home / ATTRIBUTES).exists() else {}
    return BundledModel(files[0], **{name: attributes[key] for key, name in NAMES.items() if key in attributes})
