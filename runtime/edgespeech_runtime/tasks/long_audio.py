"""A long recording in stretches of sound that a model runs on one by one: what is silent is not worth running it on.

Models have seen utterances of half a minute at most; among minutes of silence they write nothing.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..long.speech import SpeechOptions, speech_spans

WHOLE = 30.0  # seconds of a recording that is run as a whole
STRETCHES = SpeechOptions(pause=2.0, before=0.5, behind=0.5, longest=20.0, shortest=10.0)
CONTEXT = 1.0  # seconds beside a stretch that the model gets too
CERTAIN = 20.0  # logit of the blank where there is no sound

Waveform = npt.NDArray[np.float32]


class Cut(NamedTuple):
    """The samples that the model gets of a stretch, and those of its frames that count: the first in the recording,
    the first in the stretch, and their number.
    """

    samples: slice
    at: int
    first: int
    frames: int


def cuts(samples: Waveform, frames: int, rate: int, hop: int) -> list[Cut]:
    """What to run of a recording [samples] of so many frames."""
    if len(samples) <= WHOLE * rate:
        return [Cut(slice(0, len(samples)), 0, 0, frames)]
    context, spans = round(CONTEXT * rate / hop), []
    for start, end in speech_spans(samples, rate, STRETCHES):
        first, last = min(start // hop, frames), min(-(-end // hop), frames)
        begin = max(0, first - context)
        stop = len(samples) if last + context >= frames else (last + context) * hop
        if last > first:
            spans.append(Cut(slice(begin * hop, stop), first, first - begin, last - first))
    return spans


def silent_logits(frames: int, size: int, blank: int) -> npt.NDArray[np.float32]:
    """Logits `[frames, size]` that say the blank."""
    logits = np.zeros((frames, size), np.float32)
    logits[:, blank] = CERTAIN
    return logits
