"""A stream of live captions on a virtual clock: sound comes in its own time, the model takes the processor's."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from edgespeech_runtime.live import Event, LiveStream
from edgespeech_runtime.live.intake import Waveform
from edgespeech_runtime.live.session import BEHIND

BLOCK = 0.02  # seconds: a sound card gives sound in such pieces


class Told(NamedTuple):
    """An event, when it was told, in seconds from the beginning of the sound, and what was behind then."""

    event: Event
    at: float
    lag: float


class Cost(NamedTuple):
    """Seconds of the processor that one block took, and when it came."""

    at: float
    seconds: float


def played(stream: LiveStream, samples: Waveform, slower: float = 1.0) -> Iterator[Told | Cost]:
    """What is told of a recording that is said in real time, and what each block cost.

    The processor's time is counted, that of all threads together, since others may use the machine: so run the model
    with one thread. It is taken `slower` times, as if the machine was. Blocks that come while the model runs wait; what
    `Session` leaves out if it is behind is left out here too.
    """
    rate = stream.model_rate
    size, free = round(BLOCK * rate), 0.0
    for start in range(0, len(samples), size):
        block = samples[start : start + size]
        came = (start + len(block)) / rate
        lag = max(0.0, free - came)
        begun = time.process_time()
        events = stream.feed(block, partials=lag < BEHIND)
        seconds = (time.process_time() - begun) * slower
        free = max(free, came) + seconds
        yield Cost(came, seconds)
        yield from (Told(event, free, free - came) for event in events)
    begun = time.process_time()
    events = stream.finish()
    free += (time.process_time() - begun) * slower
    yield from (Told(event, free, free - len(samples) / rate) for event in events)
