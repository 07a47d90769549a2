"""From text to n-gram counts: the n-grams of the highest order as they stand in the text, and, of lower orders, how
many different words come before each (Kneser and Ney 1995; what is counted and pruned is what KenLM's lmplz counts).
"""

import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.ctc.ngrams.tables import BEGIN, END, UNKNOWN

from edgespeech.errors import InputError

from .partitions import Partitions, Records, records

UNKNOWN_ID, BEGIN_ID, END_ID = range(3)
BLOCK = 2**22  # bytes of text read at a time
Ids = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Adjusted:
    """The n-grams of one order: ids `[count, n]`, adjusted counts, and which are pruned, `[count]`.

    `counted` are the counts that the discounts are estimated from.
    """

    ids: Ids
    counts: Counts
    is_pruned: npt.NDArray[np.bool_]
    counted: Counts


def read_blocks(path: Path) -> Iterator[bytes]:
    """The text of a file, plain or .gz, in blocks of whole lines."""
    with path.open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_compressed else path.open("rb") as opened:
        text, rest = cast(BinaryIO, opened), b""
        try:
            while block := text.read(BLOCK):
                lines, newline, following = (rest + block).rpartition(b"\n")
                rest = following
                if newline:
                    yield lines
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path} cannot be uncompressed ({error}): fetch it again") from None
        if rest:
            yield rest


class Counter:
    """Counts the n-grams of the highest order; `words` get their ids in the order in which they come."""

    def __init__(self, order: int, partitions: Partitions) -> None:
        self._order, self._partitions = order, partitions
        self._ids: defaultdict[bytes, int] = defaultdict()
        self._ids.default_factory = self._ids.__len__
        for word in (UNKNOWN, BEGIN, END):
            self._ids[word]
        self.tokens = self._lines = 0

    @property
    def words(self) -> list[bytes]:
        """All words by their ids; the first three are <unk>, <s>, </s>."""
        return list(self._ids)

    def add(self, block: bytes) -> None:
        """Count a block of whole lines, each a sentence. Raises InputError for a marker among the words."""
        rows = [line.split() for line in block.split(b"\n")]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = np.fromiter(map(self._ids.__getitem__, chain.from_iterable(rows)), np.uint32)
        if ids.size and ids.min() <= END_ID:
            at = int(np.searchsorted(np.cumsum(lengths), np.flatnonzero(ids <= END_ID)[0], side="right"))
            word = self.words[int(ids[ids <= END_ID][0])].decode()
            message = f"line {self._lines + at + 1}: {word} stands for a sentence's boundary or for unknown words"
            raise InputError(f"{message}: take it out of the text")
        self.tokens += len(ids)
        self._lines += len(rows)
        windows = np.lib.stride_tricks.sliding_window_view(self._padded(ids, lengths), self._order)
        ngrams, counts = unique(windows[windows[:, -1] != BEGIN_ID], None)
        self._partitions.append(records(ngrams, count=counts), ngrams[:, -1])

    def _padded(self, ids: Ids, lengths: Counts) -> Ids:
        """The sentences with order - 1 times <s> before and </s> behind each, joined."""
        before = self._order - 1
        ends = np.cumsum(lengths + before + 1)
        padded = np.full(int(ends[-1]), BEGIN_ID, np.uint32)
        padded[ends - 1] = END_ID
        shifts = (ends - lengths - 1) - (np.cumsum(lengths) - lengths)
        padded[np.arange(len(ids)) + np.repeat(shifts, lengths)] = ids
        return padded


def unique(ids: Ids, counts: Counts | None) -> tuple[Ids, Counts]:
    """Different n-grams, sorted by their last words first, and the sums of their counts (None: 1 each)."""
    positions = np.lexsort(packed(ids))
    ids = ids[positions]
    counts = np.ones(len(ids), np.int64) if counts is None else counts[positions]
    is_first = np.ones(len(ids), bool)
    is_first[1:] = (ids[1:] != ids[:-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    return ids[starts], np.add.reduceat(counts, starts) if len(starts) else counts


def packed(ids: Ids) -> list[npt.NDArray[np.uint64]]:
    """Keys for `np.lexsort`, the last columns leading; two columns in each key, since fewer keys sort faster."""
    columns = ids.astype(np.uint64).T
    pairs = [columns[i] << np.uint64(32) | columns[i - 1] for i in range(len(columns) - 1, 0, -2)]
    return [*([columns[0]] if len(columns) % 2 else []), *reversed(pairs)]


def adjusted(
    loaded: Records, thresholds: list[int], allowed: npt.NDArray[np.bool_] | None, is_last: bool
) -> list[Adjusted]:
    """The n-grams of every order that a partition of full counts holds, of order 1 first.

    Of order k, those are pruned that stand at most `thresholds[k - 1]` times in the text or have a word that is not
    `allowed`. Where `is_last`, the partition has the n-gram that comes last of all: lmplz estimates its discounts from
    the plain counts of that one's endings, and so does this.
    """
    ids, counts = unique(loaded["ids"], loaded["count"])
    order = ids.shape[1]
    orders = []
    starts_here = np.zeros(len(ids), bool)
    starts_here[0] = True
    for length in range(1, order + 1):
        starts_here[1:] |= ids[1:, order - length] != ids[:-1, order - length]
        starts = np.flatnonzero(starts_here)
        ngrams = ids[starts, order - length :]
        plain = np.add.reduceat(counts, starts)
        if length == order:
            adjusted_counts = plain
        else:
            starts_longer = starts_here.copy()
            starts_longer[1:] |= ids[1:, order - length - 1] != ids[:-1, order - length - 1]
            different = np.add.reduceat(starts_longer.astype(np.int64), starts)
            adjusted_counts = np.where(ngrams[:, 0] == BEGIN_ID, plain, different)
        counted = adjusted_counts.copy()
        if is_last and length < order:
            counted[-1] = plain[-1]
        is_pruned = plain <= thresholds[length - 1]
        if allowed is not None:
            is_pruned |= ~allowed[ngrams].all(axis=1)
        if length == 1:
            is_pruned &= ngrams[:, 0] > END_ID
        is_sound = (ngrams[:, 1:] != BEGIN_ID).all(axis=1)  # no boundary inside
        orders.append(Adjusted(ngrams[is_sound], adjusted_counts[is_sound], is_pruned[is_sound], counted[is_sound]))
    return orders
