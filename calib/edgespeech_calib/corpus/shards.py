"""Which entries are in which shard, which shards a run writes, and in which chunks workers get them.

All of it follows from the manifest and the options alone, so that the same batches run whoever runs them.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

from edgespeech_calib.corpus.entries import Entry
from edgespeech_calib.errors import CorpusError

SHARD = 100  # entries of a shard where it is not said how many shards there are
MOST_SHARDS = 10_000
WINDOW = 1000  # entries of a shard that are sorted by length
BATCHES = 4  # that a worker gets at a time: more leave workers without work at the end
CHUNK_SECONDS = 600.0  # of sound that a worker gets at a time, as far as the manifest says it


@dataclass(frozen=True)
class Plan:
    """So many shards of so many entries; a run writes those `chosen`."""

    entries: int
    shards: int
    chosen: Sequence[int]

    def bounds(self, shard: int) -> tuple[int, int]:
        """The first entry of a shard, and the one behind its last."""
        return shard * self.entries // self.shards, (shard + 1) * self.entries // self.shards


@dataclass(frozen=True)
class Chunk:
    """Entries of a shard that a worker runs at once; `lost` counts the workers that were lost while they ran it."""

    shard: int
    entries: Sequence[Entry] = field(repr=False)
    lost: int = 0


@dataclass(frozen=True)
class ArrayTask:
    """Task `index` of `count` tasks of a SLURM job array, which writes every `count`-th shard."""

    index: int
    count: int

    def chosen(self, shards: int) -> Sequence[int]:
        """Its shards."""
        return range(self.index, shards, self.count)


def slurm_task(environment: Mapping[str, str] = os.environ) -> ArrayTask | None:
    """The task of a SLURM job array that this process is; None where it is in none.

    Names: https://slurm.schedmd.com/job_array.html. Raises CorpusError for numbers that do not fit.
    """
    number, count = environment.get("SLURM_ARRAY_TASK_ID"), environment.get("SLURM_ARRAY_TASK_COUNT")
    if not number or not count:
        return None
    first, step = environment.get("SLURM_ARRAY_TASK_MIN", "0"), environment.get("SLURM_ARRAY_TASK_STEP", "1")
    try:
        index, rest = divmod(int(number) - int(first), int(step))
        task = ArrayTask(index, int(count))
    except (ValueError, ZeroDivisionError):
        task, rest = ArrayTask(-1, 0), 0
    if rest or not 0 <= task.index < task.count:
        raise CorpusError(
            f"SLURM_ARRAY_TASK_ID is {number}, which is no task of {count} from {first} on in steps of {step}; submit "
            "an array without gaps, as --array=0-15"
        )
    return task


def default_shards(entries: int, tasks: int = 1) -> int:
    """How many shards there are where it is not said: about `SHARD` entries each, and one for each array task."""
    return min(MOST_SHARDS, max(1, tasks, math.ceil(entries / SHARD)))


def windows(entries: Iterator[Entry], plan: Plan, wanted: set[int]) -> Iterator[tuple[int, list[Entry]]]:
    """The entries of each shard that is `wanted`, in order, not more than `WINDOW` at a time; of an empty one, none.

    Raises CorpusError where there are fewer than the plan says.
    """
    at = 0
    for shard in sorted(wanted):
        start, stop = plan.bounds(shard)
        next(islice(entries, start - at, start - at), None)  # passes over those before
        for first in range(start, max(stop, start + 1), WINDOW):
            found = list(islice(entries, min(WINDOW, stop - first)))
            if len(found) < min(WINDOW, stop - first):
                raise CorpusError(
                    f"the manifest had {plan.entries} recordings, and has fewer now; run the command again"
                )
            yield shard, found
        at = stop


def chunks(shard: int, entries: Sequence[Entry], batch_size: int) -> list[Chunk]:
    """Entries of a shard by length, the longest first, in chunks of some batches each."""
    ordered = sorted(entries, key=lambda entry: -(entry.seconds or 0.0))
    numbers: list[int] = []
    count, seconds, number = 0, 0.0, 0
    for entry in ordered:
        if count == BATCHES * batch_size or (count and seconds + (entry.seconds or 0.0) > CHUNK_SECONDS):
            count, seconds, number = 0, 0.0, number + 1
        count, seconds = count + 1, seconds + (entry.seconds or 0.0)
        numbers.append(number)
    pairs = groupby(zip(numbers, ordered, strict=True), key=lambda pair: pair[0])
    return [Chunk(shard, tuple(entry for _, entry in group)) for _, group in pairs]
