"""Blocks of samples as they come from outside: checked, one channel, at the model's rate, with the source's time.

What comes out does not depend on how the samples are cut into blocks. It runs no model.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..audio.samples import LOUDEST, Resampler, checked_array, floats
from ..errors import ArgumentError, AudioError

GAP = 0.25  # seconds between the source's time and the count of samples that are no drift any more
FOLLOW = 5.0  # seconds of sound in which most of a drift is followed
MOST_CHANNELS = 64
LONGEST_PIECE = 0.5  # seconds
PIECE = 0.05  # seconds of sound that are resampled at once

Waveform = npt.NDArray[np.float32]


class Clock:
    """The source's time of the samples of one stretch: they are counted, and its own times correct the count."""

    def __init__(self, start: float, rate: int) -> None:
        """`rate` is that of the samples whose time is asked for."""
        self._start, self._rate = start, rate

    def seconds(self, sample: float) -> float:
        """The time of a sample of the stretch."""
        return self._start + sample / self._rate

    def follow(self, late: float, seconds: float) -> None:
        """Move by part of what the source's time is ahead, which came with so many seconds of sound."""
        self._start += late * min(1.0, seconds / FOLLOW)


class Block(NamedTuple):
    """Samples that were checked, and the time of the first of them."""

    samples: Waveform
    time: float | None


class Piece(NamedTuple):
    """Samples at the model's rate; with a clock where a stretch begins with them."""

    samples: Waveform
    clock: Clock | None


class Intake:
    """One stream's way in."""

    def __init__(self, model_rate: int, rate: float | None = None) -> None:
        """`rate` is that of the samples that will come; None: what the first block says, or else the model's."""
        self._model_rate, self._rate = model_rate, rate
        self._count, self._stretch = 0, 0  # samples that came: in all, in this stretch
        self._clock = Clock(0.0, model_rate)
        self._resampler = None if rate in (None, model_rate) else EvenResampler(rate, model_rate)

    @property
    def clock(self) -> Clock:
        """That of the stretch that goes on."""
        return self._clock

    @property
    def rate(self) -> float:
        """Of the samples that come, in Hz."""
        return self._model_rate if self._rate is None else self._rate

    @property
    def seconds(self) -> float:
        """How much sound came."""
        return self._count / self.rate

    def check(self, samples: Any, sampling_rate: float | None = None, time: float | None = None) -> Block:
        """What may be taken in. Raises AudioError and ArgumentError; then nothing has changed."""
        waveform = one_channel(samples)
        if time is not None and (isinstance(time, bool) or not isinstance(time, int | float | np.number)):
            raise ArgumentError(f"time: expected seconds, got {time!r}")
        if time is not None and not math.isfinite(time):
            raise ArgumentError(f"time: expected seconds, got {time}")
        self._require_rate(sampling_rate)
        return Block(waveform, None if time is None else float(time))

    def take(self, block: Block) -> list[Piece]:
        """Samples at the model's rate, where a gap is behind those of the stretch before."""
        if not len(block.samples):
            return []
        pieces = [] if block.time is None else self._timed(block.time, len(block.samples) / self.rate)
        self._count += len(block.samples)
        self._stretch += len(block.samples)
        samples = block.samples if self._resampler is None else self._resampler.add(block.samples)
        if pieces:
            pieces[-1] = Piece(pieces[-1].samples, self._clock)
        size = round(LONGEST_PIECE * self._model_rate)
        return pieces + [Piece(samples[start : start + size], None) for start in range(0, len(samples), size)]

    def flush(self) -> Waveform:
        """The last samples of the stretch."""
        return np.zeros(0, np.float32) if self._resampler is None else self._resampler.flush()

    def _timed(self, time: float, seconds: float) -> list[Piece]:
        """Follow the source's time. Where a gap is, the end of the stretch and the place of a new one."""
        late = time - self._clock.seconds(self._stretch * self._model_rate / self.rate)
        if abs(late) <= GAP:
            self._clock.follow(late, seconds)
            return []
        is_first, rest = not self._count, self.flush()
        self._clock, self._stretch = Clock(time, self._model_rate), 0
        nothing = np.zeros(0, np.float32)
        return [Piece(nothing, None)] if is_first else [Piece(rest, None), Piece(nothing, None)]

    def _require_rate(self, rate: float | None) -> None:
        if rate is None or rate == self._rate or (self._rate is None and rate == self._model_rate):
            return
        if self._count:
            raise AudioError(
                f"sampling_rate: this stream's samples come at {self.rate:g} Hz, got a block at {rate!r} Hz: finish it "
                "and open another"
            )
        self._resampler = None if rate == self._model_rate else EvenResampler(rate, self._model_rate)
        self._rate = rate


class EvenResampler:
    """Resampling in pieces of one size, so that blocks of any size come to the same."""

    def __init__(self, rate: float, target: int) -> None:
        """Raises AudioError for a rate that is none, AudioPackageError without soxr."""
        self._rates = rate, target
        self._resampler, self._size = Resampler(rate, target), max(1, round(PIECE * rate))
        self._waiting = np.zeros(0, np.float32)

    def add(self, samples: Waveform) -> Waveform:
        """What is certain of the output; the rest comes later."""
        samples = np.concatenate([self._waiting, samples])
        whole = len(samples) // self._size * self._size
        self._waiting = samples[whole:]
        parts = [self._resampler.add(part) for part in samples[:whole].reshape(-1, self._size)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    def flush(self) -> Waveform:
        """The end of the output; what comes then is another sound."""
        end = self._resampler.add(self._waiting, is_last=True)
        self._resampler, self._waiting = Resampler(*self._rates), np.zeros(0, np.float32)
        return end


def one_channel(samples: Any) -> Waveform:
    """`[samples]` or `[samples, channels]`, any number of samples, as float32 `[samples]`: the mean of all channels.

    Raises AudioError.
    """
    if isinstance(samples, bytes | bytearray | memoryview):
        half = ", half a sample at the end" if len(samples) % 2 else ""
        raise AudioError(
            f"expected an array of samples, got {len(samples)} bytes{half}: numpy.frombuffer(data, numpy.int16) makes "
            "one of 16-bit samples"
        )
    if samples is None or isinstance(samples, str | list | tuple | set | dict) or not hasattr(samples, "__len__"):
        raise AudioError(f"expected an array of samples, got {type(samples).__name__}")
    shape = tuple(samples.shape) if hasattr(samples, "shape") else (len(samples),)
    if len(shape) not in (1, 2) or (len(shape) == 2 and not 1 <= shape[1] <= MOST_CHANNELS):
        raise AudioError(f"expected an array [samples] or [samples, channels], got the shape {list(shape)}")
    array = floats(checked_array(samples if len(shape) == 1 else samples.reshape(-1)))
    largest = float(np.abs(array).max(initial=0.0))
    if not math.isfinite(largest):
        raise AudioError("the samples are not all finite: NaN or infinite values are not audio; the block is left out")
    if largest > LOUDEST:
        raise AudioError(f"a sample is as large as {largest:.3g} where floats in [-1, 1] are expected: scale them")
    return array if len(shape) == 1 else array.reshape(shape).mean(axis=1, dtype=np.float32)
