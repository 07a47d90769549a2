"""Which utterances share a batch. Padding costs as much as sound, so neighbours in length go together."""

from collections.abc import Iterator, Sequence

MOST_PADDING = 0.25  # of the samples in one padded batch
MOST_SAMPLES = 2**20  # in one padded batch, a minute at 16 kHz: memory grows with it, speed does not
MOST_OF_THREAD = 2**17  # the same where one thread runs it: what no longer fits its cache is slower


def plan(lengths: Sequence[int], batch_size: int, most_samples: int = MOST_SAMPLES) -> Iterator[list[int]]:
    """Indices into `lengths` (samples), longest first, in batches of at most `batch_size` within the bounds above."""
    batch: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        padded = lengths[batch[0]] * (len(batch) + 1) if batch else 0
        is_wasteful = padded - total - lengths[index] > MOST_PADDING * padded
        if batch and (len(batch) == batch_size or is_wasteful or padded > most_samples):
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += lengths[index]
    if batch:
        yield batch
