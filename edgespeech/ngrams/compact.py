"""Writing the compact file of an n-gram model, and reading all of it.

Its layout: `edgespeech_runtime.ctc.ngrams.compact`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.ctc.ngrams.compact import BLOCK, Arrays, to_bytes
from edgespeech_runtime.ctc.ngrams.tables import Ngrams, Tables
from edgespeech_runtime.ctc.ngrams.trie import sort
from edgespeech_runtime.ctc.ngrams.vocabulary import SortedWords

BINS = 256
ROUNDS = 20  # of moving the bins to the means of what is nearest to them


def write_compact(tables: Tables, path: Path, quantize: bool = False) -> None:
    """Write a model; with `quantize`, probabilities and back-off weights as one of 256 values for each order.

    Raises LanguageModelError for n-grams that are there twice or whose first words are no n-gram.
    """
    words, orders = sort(tables)
    ends = np.cumsum([len(word) for word in words], dtype=np.uint32)
    arrays: Arrays = {"text": np.frombuffer(b"".join(words), np.uint8), "ends": ends}
    for order, (above, below) in enumerate(zip(orders, [*orders[1:], None], strict=True), start=1):
        ngrams = above.ngrams
        if order > 1:
            arrays[f"{order}.words"] = ngrams.ids[:, -1].astype(np.uint16 if len(words) <= 2**16 else np.uint32)
        arrays |= _values(f"{order}.probabilities", ngrams.probabilities, quantize)
        if below is not None and ngrams.backoffs is not None:
            arrays |= _values(f"{order}.backoffs", ngrams.backoffs, quantize)
            first = np.searchsorted(below.parents, np.arange(len(above.parents) + 1))
            arrays |= _offsets(f"{order}.first", first)
    facts: dict[str, Any] = {"order": len(orders), "words": len(words)}
    facts["counts"] = [len(each.parents) for each in orders]
    path.write_bytes(to_bytes(facts, arrays))


def quantized(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Numbers of bins `[count]` and what each of at most 256 bins stands for; zero stays zero.

    The bins are those of Lloyd (1982, "Least squares quantization in PCM"). They begin as close as the cube root of the
    values' density says, which is best for many bins (Panter and Dite 1951).
    """
    different, counts = np.unique(values, return_counts=True)
    bins = different.astype(np.float64)
    if len(different) > BINS:
        has_zero = bool((different == 0).any())
        histogram, edges = np.histogram(different, 16 * BINS, weights=counts)
        density = np.append(0, np.cumsum(np.cbrt(histogram)))
        bins = np.unique(np.interp(np.linspace(0, density[-1], BINS - 1), density, edges))
        for _ in range(ROUNDS):
            numbers = np.searchsorted((bins[1:] + bins[:-1]) / 2, different)
            weights = np.bincount(numbers, counts, len(bins))
            sums = np.bincount(numbers, counts * different.astype(np.float64), len(bins))
            bins = np.where(weights > 0, sums / np.maximum(weights, 1), bins)
        bins = np.unique([*bins, 0.0] if has_zero else bins)
    numbers = np.searchsorted((bins[1:] + bins[:-1]) / 2, values)
    return numbers.astype(np.uint8), bins.astype(np.float32)


def _values(name: str, values: npt.NDArray[np.float32], quantize: bool) -> Arrays:
    if not quantize:
        return {name: values.astype(np.float32)}
    numbers, bins = quantized(values)
    return {name: numbers, f"{name}.bins": bins}


def _offsets(name: str, first: npt.NDArray[np.integer]) -> Arrays:
    bases = first[::BLOCK]
    rests = first - np.repeat(bases, BLOCK)[: len(first)]
    if rests.max(initial=0) < 2**16:
        return {f"{name}.bases": bases.astype(np.uint32), name: rests.astype(np.uint16)}
    return {name: first.astype(np.uint32)}


def compact_tables(facts: dict[str, Any], arrays: Arrays) -> Tables:
    """All n-grams of a compact file, of what `edgespeech_runtime.ctc.ngrams.compact.read_arrays` gives."""
    words = list(SortedWords(arrays["text"], arrays["ends"]))
    ids = np.arange(len(words), dtype=np.uint32)[:, None]
    orders = []
    for order in range(1, facts["order"] + 1):
        if order > 1:
            first = _read_offsets(arrays, f"{order - 1}.first")
            ids = np.concatenate([np.repeat(ids, np.diff(first), axis=0), arrays[f"{order}.words"][:, None]], axis=1)
        backoffs = _read_values(arrays, f"{order}.backoffs") if order < facts["order"] else None
        orders.append(Ngrams(ids.astype(np.uint32), _read_values(arrays, f"{order}.probabilities"), backoffs))
    return Tables(words, orders)


def _read_values(arrays: Arrays, name: str) -> npt.NDArray[np.float32]:
    bins = arrays.get(f"{name}.bins")
    return arrays[name] if bins is None else bins[arrays[name]]


def _read_offsets(arrays: Arrays, name: str) -> npt.NDArray[np.int64]:
    bases, rests = arrays.get(f"{name}.bases"), arrays[name].astype(np.int64)
    return rests if bases is None else rests + np.repeat(bases, BLOCK)[: len(rests)]
