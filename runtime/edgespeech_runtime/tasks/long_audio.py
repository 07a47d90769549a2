"""A long recording in stretches of sound that a model runs on one by one: what is silent is not worth running it on.

Models have seen utterances of half a minute at most; among minutes of silence they write nothing.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..ctc.alignment.edges import STEP, Seconds

WHOLE = 30.0  # seconds of a recording that is run as a whole
LONGEST, SHORTEST = 20.0, 10.0  # seconds of a stretch, where sound goes on: it ends where that is least loud
SILENCE = 2.0  # seconds without sound that are left out
MARGIN = 0.5  # seconds of silence that belong to the sound beside it
CONTEXT = 1.0  # seconds beside a stretch that the model gets too
CERTAIN = 20.0  # logit of the blank where there is no sound
ABOVE_NOISE, BELOW_PEAK = 6.0, 45.0  # dB: what is quieter than both is silence


class Stretch(NamedTuple):
    """Seconds of a recording in which there is sound."""

    start: float
    end: float


def stretches(levels: Seconds) -> list[Stretch]:
    """Where sound is, in order; `levels` are the recording's, by `loudness`."""
    limit = min(float(np.percentile(levels, 5)) + ABOVE_NOISE, float(levels.max()) - BELOW_PEAK)
    loud = np.flatnonzero(levels > limit)
    if not len(loud):
        return []
    ends = np.flatnonzero(np.diff(loud) * STEP > SILENCE)
    firsts, lasts = loud[np.append(0, ends + 1)], loud[np.append(ends, len(loud) - 1)]
    return [part for first, last in zip(firsts, lasts, strict=True) for part in _cut(levels, int(first), int(last))]


def _cut(levels: Seconds, first: int, last: int) -> Iterator[Stretch]:
    """Stretches of one sound with its margins, none too long."""
    margin, shortest, longest = (round(seconds / STEP) for seconds in (MARGIN, SHORTEST, LONGEST))
    start, stop = max(0, first - margin), min(len(levels), last + 1 + margin)
    while stop - start > longest:
        cut = start + shortest + int(np.argmin(levels[start + shortest : start + longest]))
        yield Stretch(start * STEP, cut * STEP)
        start = cut
    yield Stretch(start * STEP, stop * STEP)


class Cut(NamedTuple):
    """The samples that the model gets of a stretch, and those of its frames that count: the first in the recording,
    the first in the stretch, and their number.
    """

    samples: slice
    at: int
    first: int
    frames: int


def cuts(levels: Seconds, samples: int, frames: int, rate: int, hop: int) -> list[Cut]:
    """What to run of a recording of so many samples and frames."""
    if samples <= WHOLE * rate:
        return [Cut(slice(0, samples), 0, 0, frames)]
    context, found = round(CONTEXT * rate / hop), []
    for start, end in stretches(levels):
        first, last = min(int(start * rate / hop), frames), min(int(np.ceil(end * rate / hop)), frames)
        begin = max(0, first - context)
        stop = samples if last + context >= frames else (last + context) * hop
        if last > first:
            found.append(Cut(slice(begin * hop, stop), first, first - begin, last - first))
    return found


def silent_logits(frames: int, size: int, blank: int) -> npt.NDArray[np.float32]:
    """Logits `[frames, size]` that say the blank."""
    logits = np.zeros((frames, size), np.float32)
    logits[:, blank] = CERTAIN
    return logits
