"""What live captions can be made of: recordings, blocks that come one by one, microphones."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..audio.blocks import AudioBlocks
from ..audio.items import is_single
from ..errors import ArgumentError, AudioError
from .intake import Waveform

BLOCK = 0.04  # seconds of a recording that are given at a time


class Block(NamedTuple):
    """What is fed at once: samples, their rate, their time on the source's clock, and whether more wait already."""

    samples: Any
    sampling_rate: float | None = None
    time: float | None = None
    lag: float = 0.0


class Playback:
    """A recording as if it were said now: blocks come when their time has come.

    Attributes:
        lag: seconds of sound that wait already, because the last block took long to be worked on.
    """

    def __init__(
        self,
        audio: Any,
        sampling_rate: int = 16000,
        speed: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        **reading: Any,
    ) -> None:
        """`audio` and `reading` are those of `AudioBlocks`, blocks have `sampling_rate` Hz; `speed` 2 is twice as fast.

        Raises ArgumentError for a speed that is none, and what `AudioBlocks` raises.
        """
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed <= 1e6:
            raise ArgumentError(f"speed: expected a positive number, such as 2 for twice as fast, got {speed!r}")
        self.sampling_rate, self.lag = sampling_rate, 0.0
        self._speed, self._clock, self._sleep = speed, clock, sleep
        self._blocks = AudioBlocks(audio, sampling_rate, **reading)

    @property
    def duration(self) -> float | None:
        """See `AudioBlocks.duration`."""
        return self._blocks.duration

    def __iter__(self) -> Iterator[Waveform]:
        begin, samples = self._clock(), 0
        for block in even(self._blocks, round(BLOCK * self.sampling_rate)):
            samples += len(block)
            late = self._clock() - begin - samples / self.sampling_rate / self._speed
            self.lag = max(0.0, late * self._speed)
            if late < 0:
                self._sleep(-late)
            yield block


def even(blocks: Iterable[Waveform], size: int) -> Iterator[Waveform]:
    """The same samples in blocks of one size, but for the last."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        joined = np.concatenate([rest, block])
        whole = len(joined) // size * size
        yield from joined[:whole].reshape(-1, size)
        rest = joined[whole:]
    if len(rest):
        yield rest


def blocks(source: Any, model_rate: int, sampling_rate: float | None) -> Iterator[Block]:
    """What there is to feed of a source.

    That is a recording as `transcribe` takes it, an iterable of blocks (arrays), or one that also says its
    `sampling_rate`, and the `time` and `lag` of the block that it gave last, as `Microphone` and `Playback` do.
    `sampling_rate` is that of arrays that do not say theirs. Raises AudioError and ArgumentError.
    """
    if _is_iterable(source):
        rate = getattr(source, "sampling_rate", sampling_rate)
        for block in source:
            yield Block(block, rate, getattr(source, "time", None), getattr(source, "lag", 0.0))
        return
    if not is_single(source):
        raise AudioError("expected one source of sound, got several: transcribe them one by one")
    for samples in even(AudioBlocks(source, model_rate, sampling_rate=sampling_rate), round(BLOCK * model_rate)):
        yield Block(samples)


def _is_iterable(source: Any) -> bool:
    """Whether blocks come of it one by one: a list, a generator, a microphone; arrays, files and mappings are whole."""
    if isinstance(source, list):
        return True
    is_whole = hasattr(source, "shape") or hasattr(source, "read") or hasattr(source, "keys")
    is_whole = is_whole or isinstance(source, str | bytes | bytearray | memoryview | tuple)
    return not is_whole and hasattr(source, "__iter__")
