"""Reading n-gram models in ARPA form, plain or compressed with gzip.

What is accepted is what KenLM accepts: sections in order with exactly the counts of the header, the whole vocabulary
among the unigrams, no positive log probability.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import numpy as np
import numpy.typing as npt

from ...errors import LanguageModelError
from .tables import Ngrams, Tables

LINES = 2**16  # lines read at a time
PREAMBLE = 1000  # lines in which \data\ must come
GZIP = b"\x1f\x8b"
HIGHEST_ORDER = 12


def read_arpa(path: Path) -> Tables:
    """Read a whole ARPA file. Raises LanguageModelError, one line that names the section or the line."""
    with path.open("rb") as file:
        is_compressed = file.read(2) == GZIP
    try:
        with gzip.open(path) if is_compressed else path.open("rb") as lines:
            return _Reader(path, cast(BinaryIO, lines)).read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LanguageModelError(f"{path} cannot be uncompressed ({error}): fetch it again") from None


class _Reader:
    """One pass over the lines of a file; `number` is the line read last, for messages."""

    def __init__(self, path: Path, lines: BinaryIO) -> None:
        self.path, self.lines, self.number = path, lines, 0
        self.ids: dict[bytes, int] = {}

    def read(self) -> Tables:
        counts = self._counts()
        orders: list[Ngrams] = []
        for order, count in enumerate(counts, start=1):
            self._expect(b"\\%d-grams:" % order, f"after {orders[-1].ids.shape[0]} n-grams" if orders else "")
            orders.append(self._section(order, count, is_last=order == len(counts)))
        self._expect(b"\\end\\", f"after {counts[-1]} n-grams")
        for line in self.lines:
            self.number += 1
            if line.strip():
                self._refuse("expected nothing after \\end\\", line)
        return Tables(list(self.ids), orders)

    def _counts(self) -> list[int]:
        """The counts under \\data\\, of order 1 first."""
        for line in islice(self.lines, PREAMBLE):
            self.number += 1
            if line.strip() == b"\\data\\":
                break
        else:
            raise LanguageModelError(f"{self.path} is no language model that can be read: it has no line \\data\\")
        counts: list[int] = []
        while line := self._line().strip():
            name, _, value = line.partition(b"=")
            if name.split() != [b"ngram", b"%d" % (len(counts) + 1)] or not value.strip().isdigit():
                self._refuse(f"expected ngram {len(counts) + 1}=COUNT", line)
            counts.append(int(value))
        if not 1 <= len(counts) <= HIGHEST_ORDER:
            self._refuse(f"expected counts of 1 to {HIGHEST_ORDER} orders", f"{len(counts)} of them")
        return counts

    def _section(self, order: int, count: int, is_last: bool) -> Ngrams:
        ids: list[npt.NDArray[np.uint32]] = []
        probabilities: list[npt.NDArray[np.float32]] = []
        backoffs: list[npt.NDArray[np.float32]] = []
        for rows in self._rows(order, count):
            words = chain.from_iterable(row[1 : order + 1] for row in rows)
            if order == 1:
                ids.append(np.arange(len(self.ids), len(self.ids) + len(rows), dtype=np.uint32)[:, None])
                self._add(words)
            else:
                ids.append(self._look_up(words, rows).reshape(-1, order))
            probabilities.append(self._numbers(rows, 0))
            backoffs.append(self._numbers(rows, order + 1))
            self.number += len(rows)
        joined = np.concatenate(ids) if ids else np.zeros(0, np.uint32)
        weights = np.concatenate(backoffs) if backoffs else np.zeros(0, np.float32)
        if is_last and weights.any():
            message = f"{self.path}: n-grams of the highest order, {order}, have no back-off weight"
            raise LanguageModelError(f"{message}, but one has {weights[np.flatnonzero(weights)[0]]:g}")
        return Ngrams(
            joined.reshape(-1, order),
            np.concatenate(probabilities) if probabilities else np.zeros(0, np.float32),
            None if is_last else weights,
        )

    def _rows(self, order: int, count: int) -> Iterator[list[list[bytes]]]:
        """The lines of a section, split, some at a time; `number` is that of the line before them."""
        left = count
        while left:
            lines = list(islice(self.lines, min(left, LINES)))
            rows = [line.split() for line in lines]
            for offset, row in enumerate(rows):
                if len(row) - order not in (1, 2):
                    self.number += offset + 1
                    if not row or row[0].startswith(b"\\"):
                        self._refuse_count(order, count, count - left + offset)
                    self._refuse(f"expected a probability, {order} words and perhaps a back-off weight", lines[offset])
            if len(lines) < min(left, LINES):
                self._refuse_count(order, count, count - left + len(lines))
            yield rows
            left -= len(lines)

    def _add(self, words: Iterator[bytes]) -> None:
        for offset, word in enumerate(words):
            if word in self.ids:
                self.number += offset + 1
                self._refuse("expected each unigram once", word)
            try:
                word.decode()
            except UnicodeDecodeError:
                self.number += offset + 1
                self._refuse("expected words in UTF-8", word)
            self.ids[word] = len(self.ids)

    def _look_up(self, words: Iterator[bytes], rows: list[list[bytes]]) -> npt.NDArray[np.uint32]:
        try:
            return np.fromiter(map(self.ids.__getitem__, words), np.uint32)
        except KeyError as error:
            word = error.args[0]
            self.number += next(i for i, row in enumerate(rows, start=1) if word in row[1:])
            self._refuse("expected words that are among the unigrams", word)

    def _numbers(self, rows: list[list[bytes]], column: int) -> npt.NDArray[np.float32]:
        """A column of the rows as numbers; one that a row does not have is 0."""
        try:
            numbers = np.array([float(row[column]) if len(row) > column else 0.0 for row in rows], np.float32)
        except ValueError:
            numbers = np.full(len(rows), math.nan, np.float32)
        is_sound = np.isfinite(numbers) & ((numbers <= 0) | (column > 0))
        if not is_sound.all():
            self._refuse_number(rows, column)
        return numbers

    def _refuse_number(self, rows: list[list[bytes]], column: int) -> None:
        what = "a back-off weight" if column else "a log10 probability of at most 0"
        for offset, row in enumerate(rows, start=1):
            text = row[column] if len(row) > column else b"0"
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if not math.isfinite(number) or (number > 0 and not column):
                self.number += offset
                self._refuse(f"expected {what}", text)

    def _line(self) -> bytes:
        self.number += 1
        line = self.lines.readline()
        if not line:
            raise LanguageModelError(f"{self.path} ends in line {self.number}, before \\end\\: it is cut short")
        return line

    def _expect(self, header: bytes, where: str) -> None:
        while not (line := self._line().strip()):
            pass
        if line != header:
            self._refuse(f"expected {header.decode()} {where}".rstrip(), line)

    def _refuse_count(self, order: int, count: int, found: int) -> NoReturn:
        message = f"{self.path}: \\data\\ says {count} n-grams of order {order}, the section has {found}"
        raise LanguageModelError(f"{message}: fetch or build it again")

    def _refuse(self, expected: str, found: bytes | str) -> NoReturn:
        text = found if isinstance(found, str) else repr(found.strip().decode(errors="replace")[:60])
        raise LanguageModelError(f"{self.path}, line {self.number}: {expected}, got {text}")
