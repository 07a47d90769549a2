"""Building an n-gram model of text: counting, discounting and interpolating as KenLM's lmplz does, in bounded memory.

What belongs together lies in one partition on disk, and one partition at a time is in memory: n-grams by their last
word where they are counted and interpolated, by their first where they are discounted. Vocabulary and unigrams are
always in memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgespeech.errors import InputError

from .counting import BEGIN_ID, UNKNOWN_ID, Counter, adjusted, read_blocks
from .discounts import Discount, Statistics, discount
from .partitions import Partitions, Records, records
from .smoothing import Floats, Level, Weighted, find, interpolate, section, weigh

HIGHEST_ORDER = 6  # KenLM as it is usually built reads no more
MEMORY = 2**30
ROWS = 12  # copies of its n-grams that a partition needs in memory, about
Progress = Callable[[str, float], None]  # the step, and how much of it is done, 0 to 1


@dataclass(frozen=True)
class BuildOptions:
    """How a model is built; the defaults are lmplz's.

    Of order n, n-grams that come at most `prune[n - 1]` times are left out; the last number holds for the orders behind
    it. `allowed` are the words that are kept (None: all). `fallback` are the discounts where none can be estimated.
    With `interpolate_unigrams` unknown words get as much as the rarest of words could, else all that discounts leave.
    """

    order: int = 3
    prune: tuple[int, ...] = ()
    allowed: frozenset[bytes] | None = None
    fallback: Discount | None = None
    interpolate_unigrams: bool = True
    memory: int = MEMORY

    def __post_init__(self) -> None:
        if not 1 <= self.order <= HIGHEST_ORDER:
            raise InputError(f"order: expected 1 to {HIGHEST_ORDER}, got {self.order}")
        if len(self.prune) > self.order:
            raise InputError(f"prune: expected at most {self.order} numbers, one for each order, got {len(self.prune)}")
        if min(self.prune, default=0) < 0 or list(self.prune) != sorted(self.prune):
            shown = ",".join(map(str, self.prune))
            raise InputError(f"prune: expected numbers of at least 0 that do not fall, such as 0,0,1, got {shown}")
        if self.memory < 2**24:
            raise InputError(f"memory: expected at least 16M, got {self.memory} bytes")

    @property
    def thresholds(self) -> list[int]:
        """The pruning threshold of each order."""
        given = list(self.prune) or [0]
        return given + given[-1:] * (self.order - len(given))


@dataclass(frozen=True)
class Built:
    """A model that was built: its n-grams lie on disk, in the folder that `build` was given."""

    words: list[bytes]
    tokens: int
    statistics: list[Statistics]
    discounts: list[Discount]
    unigrams: Records
    longer: list[Partitions]
    partitions: int

    def sections(self, order: int) -> Iterator[Records]:
        """The n-grams of an order, with log10 `probability` and `backoff`, some at a time."""
        if order == 1:
            yield self.unigrams
            return
        for number in range(self.partitions):
            loaded = self.longer[order - 2].load(number, remove=False)
            if loaded is not None:
                yield loaded


def build(text: Path, folder: Path, options: BuildOptions, progress: Progress | None = None) -> Built:
    """Build a model of the file `text`, plain or .gz, a sentence in each line; temporary files go to `folder`.

    Raises InputError for a text without words, with markers in it, that is not UTF-8, or too short for its order.
    """
    return _Builder(text, folder, options, progress or (lambda step, done: None)).run()


class _Builder:
    def __init__(self, text: Path, folder: Path, options: BuildOptions, progress: Progress) -> None:
        self.text, self.folder, self.options, self.progress = text, folder, options, progress
        size = text.stat().st_size * (4 if text.suffix == ".gz" else 1)
        needed = size / 5 * (4 * options.order + 8) * ROWS  # a word takes about five bytes
        self.count = min(1024, max(1, -(-int(needed) // options.memory)))
        self.orders = range(2, options.order + 1)

    def run(self) -> Built:
        counter = Counter(self.options.order, full := self._partitions("full"))
        for number, block in enumerate(read_blocks(self.text)):
            counter.add(block)
            self.progress("counting", min(1.0, number * 2**22 / max(self.text.stat().st_size, 1)))
        words = counter.words
        if not counter.tokens:
            raise InputError(f"{self.text} has no words: expected text with a sentence in each line")
        self._check_text(words)
        by_first = [self._partitions(f"counts{order}") for order in self.orders]
        statistics, counts, is_pruned = self._adjust(full, words, by_first)
        discounts = [discount(each, order, self.options.fallback) for order, each in enumerate(statistics, start=1)]
        by_last = [self._partitions(f"weighted{order}") for order in self.orders]
        contexts = [self._partitions(f"contexts{order}") for order in self.orders]
        for parts, weighted, weights, values in zip(by_first, by_last, contexts, discounts[1:], strict=True):
            self._discount(parts, weighted, weights, values)
        probabilities = self._unigrams(counts, is_pruned, discounts[0], statistics[0].kept)
        sections = [self._partitions(f"section{order}") for order in self.orders]
        backoffs = np.ones(len(words))
        for number in range(self.count):
            self._interpolate(number, probabilities, backoffs, by_last, contexts, sections)
            self.progress("interpolating", (number + 1) / self.count)
        kept = np.flatnonzero(~is_pruned)
        unigrams = section(kept[:, None].astype(np.uint32), probabilities[kept], backoffs[kept])
        return Built(words, counter.tokens, statistics, discounts, unigrams, sections, self.count)

    def _partitions(self, name: str) -> Partitions:
        return Partitions(self.folder, name, self.count)

    def _check_text(self, words: list[bytes]) -> None:
        for word in words:
            try:
                word.decode()
            except UnicodeDecodeError:
                raise InputError(f"{self.text} is not UTF-8 text: {word[:40]!r} stands in it") from None

    def _adjust(
        self, full: Partitions, words: list[bytes], by_first: list[Partitions]
    ) -> tuple[list[Statistics], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Statistics of all orders, counts of the unigrams, and which are pruned; longer n-grams go to `by_first`."""
        statistics = [Statistics() for _ in range(self.options.order)]
        statistics[0].ngrams = statistics[0].kept = 2  # <unk> and <s>, which count nothing
        counts, is_pruned = np.zeros(len(words), np.int64), np.zeros(len(words), bool)
        given = self.options.allowed
        allowed = None if given is None else np.array([i < 3 or word in given for i, word in enumerate(words)])
        last = (len(words) - 1) % self.count
        for number in range(self.count):
            loaded = full.load(number)
            if loaded is None:
                continue
            unigrams, *longer = adjusted(loaded, self.options.thresholds, allowed, number == last)
            for each, total in zip([unigrams, *longer], statistics, strict=True):
                total.add(each.counted, each.is_pruned)
            counts[unigrams.ids[:, 0]] = unigrams.counts
            is_pruned[unigrams.ids[:, 0]] = unigrams.is_pruned
            for each, parts in zip(longer, by_first, strict=True):
                parts.append(records(each.ids, count=each.counts, is_pruned=each.is_pruned), each.ids[:, 0])
            self.progress("adjusting counts", (number + 1) / self.count)
        return statistics, counts, is_pruned

    def _discount(self, parts: Partitions, weighted: Partitions, contexts: Partitions, values: Discount) -> None:
        for number in range(self.count):
            loaded = parts.load(number)
            if loaded is None:
                continue
            kept, ids, weights = weigh(loaded, values)
            added = records(kept.ids, probability=kept.probabilities, weight=kept.weights)
            weighted.append(added, kept.ids[:, -1])
            contexts.append(records(ids, weight=weights), ids[:, -1])

    def _unigrams(
        self, counts: npt.NDArray[np.int64], is_pruned: npt.NDArray[np.bool_], values: Discount, kept: int
    ) -> Floats:
        """Probabilities of all words. What discounts leave is shared by all but <s>; <s> has 1, so that it scores 0."""
        amounts = np.array([0.0, *values])[np.minimum(counts, 3)]
        left = float(np.where(is_pruned, counts, amounts).sum() / counts.sum())
        probabilities: Floats = (counts - amounts) / counts.sum()
        if self.options.interpolate_unigrams:
            probabilities += left / (kept - 1)
        else:
            probabilities[UNKNOWN_ID] = left
        probabilities[BEGIN_ID] = 1.0
        return probabilities

    def _interpolate(
        self,
        number: int,
        unigrams: Floats,
        backoffs: Floats,
        by_last: list[Partitions],
        contexts: list[Partitions],
        sections: list[Partitions],
    ) -> None:
        """Interpolate a partition, from short to long; the back-off weights of words go to `backoffs`."""
        levels: list[Level] = []
        below, weights = unigrams, backoffs
        for order, parts, context in zip(self.orders, by_last, contexts, strict=True):
            of_contexts = context.load(number)
            if of_contexts is not None:
                index, is_there = find(of_contexts["ids"], levels, len(unigrams))
                weights[index[is_there]] = of_contexts["weight"][is_there]
            if levels:
                self._write(sections[len(levels) - 1], levels[-1], weights)
            loaded = parts.load(number)
            if loaded is None or not len(loaded):
                return
            weighted = Weighted(loaded["ids"], loaded["probability"], loaded["weight"])
            levels.append(interpolate(weighted, below, levels, len(unigrams)))
            below, weights = levels[-1].probabilities, np.ones(len(loaded))
            if order == self.options.order:
                self._write(sections[-1], levels[-1], weights)

    def _write(self, to: Partitions, level: Level, weights: Floats) -> None:
        to.append(section(level.ids, level.probabilities, weights), level.ids[:, -1])
