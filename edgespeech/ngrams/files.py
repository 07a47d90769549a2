"""Files of n-gram models on the build machine: what kind one is, what is in it, and writing one whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgespeech_runtime.ctc.language_model import open_language_model
from edgespeech_runtime.ctc.ngrams.arpa import read_arpa
from edgespeech_runtime.ctc.ngrams.compact import is_compact, read_arrays
from edgespeech_runtime.ctc.ngrams.kenlm.file import open_kenlm
from edgespeech_runtime.ctc.ngrams.kenlm.header import is_kenlm
from edgespeech_runtime.ctc.ngrams.tables import Tables
from edgespeech_runtime.errors import LanguageModelError

from .compact import compact_tables, write_compact
from .kenlm import kenlm_tables
from .text import write_tables

BEGINNING = 64  # bytes that say what a file is
TEXT_SUFFIXES = (".arpa", ".arpa.gz")


@dataclass(frozen=True)
class ModelFacts:
    """What is in a file: its kind, its n-grams by order, its words without markers, its size in bytes."""

    kind: str
    counts: tuple[int, ...]
    words: int | None
    bytes: int

    @property
    def order(self) -> int:
        """The highest order."""
        return len(self.counts)


def is_text(path: Path) -> bool:
    """Whether a name is that of an ARPA file."""
    return path.name.endswith(TEXT_SUFFIXES)


def kind_of(path: Path) -> str:
    """`arpa`, `compact` or `kenlm`, by the first bytes."""
    with path.open("rb") as file:
        beginning = file.read(BEGINNING)
    return "kenlm" if is_kenlm(beginning) else "compact" if is_compact(beginning) else "arpa"


def facts_of(path: Path) -> ModelFacts:
    """Open a model, check all of it, and say what is in it. Raises LanguageModelError."""
    model = open_language_model(path)
    words = None if model.words is None else len(model.words)
    size = path.stat().st_size
    kind = kind_of(path)
    if kind == "arpa":
        return ModelFacts("ARPA", tuple(len(each.ids) for each in read_arpa(path).orders), words, size)
    if kind == "kenlm":
        header = open_kenlm(path)[2]
        return ModelFacts(f"KenLM {header.kind}", header.counts, words, size)
    try:
        facts, arrays = read_arrays(path, check=True)
    except LanguageModelError as error:
        raise LanguageModelError(f"{path}: {error}") from None
    is_quantized = "1.probabilities.bins" in arrays
    return ModelFacts("compact, quantized" if is_quantized else "compact", tuple(facts["counts"]), words, size)


def read_tables(path: Path) -> Tables:
    """All n-grams of a file.

    Raises InputError for a KenLM file that does not list them, LanguageModelError for a damaged one.
    """
    open_language_model(path)  # checks more than the readers do
    kind = kind_of(path)
    if kind == "kenlm":
        return kenlm_tables(path)
    return read_arpa(path) if kind == "arpa" else compact_tables(*read_arrays(path, check=True))


def convert(tables: Tables, target: Path, quantize: bool) -> None:
    """Write a model: an ARPA file where the name ends in .arpa or .arpa.gz, else a compact one."""
    with written_whole(target) as partial:
        if is_text(target):
            write_tables(tables, partial)
        else:
            write_compact(tables, partial, quantize)


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a file to write into, of a name with the same end; it becomes `target` if the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = ".arpa.gz" if target.name.endswith(".arpa.gz") else target.suffix
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=suffix, dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
