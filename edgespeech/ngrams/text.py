"""Writing n-gram models in ARPA form, and turning what was built into tables."""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from edgespeech_runtime.ctc.ngrams.tables import Ngrams, Tables

from .build import Built
from .partitions import Records, records

ROWS = 2**16  # n-grams written at a time


def write_built(built: Built, path: Path) -> None:
    """Write a model that was built, some n-grams at a time; compressed where the name ends in .gz."""
    counts = [each.kept for each in built.statistics]
    _write(path, built.words, counts, (built.sections(order) for order in range(1, len(counts) + 1)))


def write_tables(tables: Tables, path: Path) -> None:
    """Write a model in memory; compressed where the name ends in .gz."""
    counts = [len(each.ids) for each in tables.orders]
    _write(path, tables.words, counts, ([_records(each)] for each in tables.orders))


def tables(built: Built) -> Tables:
    """All of a model that was built, in memory."""
    kept = built.unigrams["ids"][:, 0]
    new_ids = np.zeros(len(built.words), np.uint32)
    new_ids[kept] = np.arange(len(kept), dtype=np.uint32)
    highest = len(built.statistics)
    orders = []
    for order in range(1, highest + 1):
        none = records(
            np.zeros((0, order), np.uint32), probability=np.zeros(0, np.float32), backoff=np.zeros(0, np.float32)
        )
        joined = np.concatenate([none, *built.sections(order)])
        backoffs = joined["backoff"] if order < highest else None
        orders.append(Ngrams(new_ids[joined["ids"]], joined["probability"], backoffs))
    return Tables([built.words[i] for i in kept.tolist()], orders)


def _write(path: Path, words: list[bytes], counts: list[int], sections: Iterable[Iterable[Records]]) -> None:
    names = [word.decode() for word in words]
    with gzip.open(path, "wt", encoding="utf-8") if path.suffix == ".gz" else path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n" + "".join(f"ngram {order}={count}\n" for order, count in enumerate(counts, start=1)))
        for order, section in enumerate(sections, start=1):
            file.write(f"\n\\{order}-grams:\n")
            for loaded in section:
                for start in range(0, len(loaded), ROWS):
                    file.writelines(_lines(loaded[start : start + ROWS], names, order < len(counts)))
        file.write("\n\\end\\\n")


def _records(ngrams: Ngrams) -> Records:
    backoffs = np.zeros(len(ngrams.ids), np.float32) if ngrams.backoffs is None else ngrams.backoffs
    return records(ngrams.ids, probability=ngrams.probabilities, backoff=backoffs)


def _lines(part: Records, names: list[str], has_backoff: bool) -> Iterator[str]:
    rows = zip(part["ids"].tolist(), part["probability"].tolist(), part["backoff"].tolist(), strict=True)
    for ids, probability, backoff in rows:
        words = " ".join([names[i] for i in ids])
        yield f"{probability:.9g}\t{words}\t{backoff:.9g}\n" if has_backoff else f"{probability:.9g}\t{words}\n"
