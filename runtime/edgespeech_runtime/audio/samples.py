"""Checks and conversions of samples: any common type, one channel, one sampling rate; of the whole or block by block.

It reads no files.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioPackageError

RATES = (1_000, 1_000_000)  # Hz; outside lies a mistake, such as a rate in kHz
LOUDEST = 2.0**31  # floats in the units of 32-bit integers may be meant; beyond lies a mistake, and float32 overflows
CANCELLED = 0.1  # of the power that independent channels keep in their mean
QUALITY = "HQ"  # of soxr's filters
BLOCK = 2**16  # samples that are converted at a time

Waveform = npt.NDArray[np.float32]


class AudioWarning(UserWarning):
    """Sound that is used, but not as it usually is."""


def checked_array(item: Any) -> npt.NDArray[Any]:
    """Any common array, or a tensor, `[samples]` or `[samples, channels]`, of a type that can be sound.

    Raises AudioError for any other type or shape.
    """
    array = _as_array(item)
    if array.ndim == 2 and 0 < array.shape[0] < array.shape[1]:
        raise AudioError(
            f"expected [samples, channels], got fewer samples than channels {list(array.shape)}: transpose it"
        )
    is_integer = array.dtype.kind == "i" and array.dtype.itemsize <= 4
    if not is_integer and array.dtype.kind != "f" and array.dtype.name not in ("uint8", "bfloat16"):
        raise AudioError(
            f"expected floats in [-1, 1], int8, int16, int32 or uint8 samples, got {array.dtype}: convert them"
        )
    if array.ndim not in (1, 2):
        raise AudioError(f"expected an array [samples] or [samples, channels], got the shape {list(array.shape)}")
    return array


def array_blocks(array: npt.NDArray[Any], rate: float) -> "Decoded":
    """A checked array as a recording at `rate` Hz: floats as they are, integers scaled by their type."""
    blocks = (floats(array[start : start + BLOCK]) for start in range(0, len(array) if array.size else 0, BLOCK))
    return Decoded(rate, len(array), 1 if array.ndim == 1 else array.shape[1], blocks)


def floats(array: npt.NDArray[Any]) -> Waveform:
    """A checked array as float32 in [-1, 1]."""
    if array.dtype == np.uint8:
        return np.asarray((array.astype(np.float32) - 128) / 128, np.float32)
    if array.dtype.kind == "i":
        return np.asarray(array.astype(np.float32) / -float(np.iinfo(array.dtype).min), np.float32)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused with the infinite
        return array.astype(np.float32)


def _as_array(item: Any) -> npt.NDArray[Any]:
    if isinstance(item, list | tuple | set) or item is None:
        raise AudioError(f"expected a path or an array of samples, got {type(item).__name__}")
    try:
        if all(hasattr(item, name) for name in ("detach", "cpu", "float")):  # a tensor of torch, which is not imported
            item = item.detach().cpu()
            if str(item.dtype) == "torch.bfloat16":  # numpy has no such type
                item = item.float()
        return np.asarray(item)
    except (TypeError, ValueError, RuntimeError) as error:
        raise AudioError(f"expected a path or an array of samples, got {type(item).__name__} ({error})") from error


class Decoded(NamedTuple):
    """A recording as it is stored: its rate in Hz, how many samples its header promises (None: it does not say), its
    channels, and blocks `[n]` or `[n, channels]` of float32.
    """

    rate: float
    samples: int | None
    channels: int
    blocks: Iterator[Waveform]


class Mix:
    """What makes one channel of several: the mean of all, or `channel` alone (1 is the first)."""

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel

    def __call__(self, samples: Waveform) -> Waveform:
        """`[samples]` or `[samples, channels] -> [samples]`. Raises AudioError for samples that are no sound."""
        count = 1 if samples.ndim == 1 else samples.shape[1]
        if self._channel is not None:
            is_number = isinstance(self._channel, int | np.integer) and not isinstance(self._channel, bool)
            if not is_number or not 1 <= self._channel <= count:
                raise AudioError(
                    f"channel: expected a number from 1 to {count}, the channels there are, got {self._channel!r}"
                )
            samples = samples.reshape(len(samples), count)[:, self._channel - 1]
        _require_sound(samples)
        if samples.ndim == 1:
            return samples
        return samples[:, 0] if count == 1 else _mean(samples)


class Powers:
    """How loud each channel of a recording is, and their mean, added up block by block."""

    def __init__(self) -> None:
        self._mean, self._channels = 0.0, np.zeros(1)

    def add(self, samples: Waveform) -> None:
        """Take the next samples, `[n, channels]`. Raises AudioError for samples that are no sound."""
        _require_sound(samples)
        self._channels = self._channels + np.square(samples, dtype=np.float64).sum(axis=0)
        self._mean += float(np.square(_mean(samples), dtype=np.float64).sum())

    def mix(self, name: str | None = None) -> Mix:
        """The mean; or the loudest channel where all cancel each other, as those of a reversed cable do.

        The latter gives an AudioWarning, which begins with the `name` of the recording.
        """
        powers = self._channels
        loudest = int(powers.argmax())
        if self._mean >= CANCELLED * powers.mean() / len(powers) or not powers[loudest]:
            return Mix()
        warnings.warn(
            f"{'' if name is None else f'{name}: '}the {len(powers)} channels cancel each other in their mean; channel "
            f"{loudest + 1} alone is taken",
            AudioWarning,
            stacklevel=2,
        )
        return Mix(loudest + 1)


def _mean(samples: Waveform) -> Waveform:
    mean: Waveform = samples.mean(axis=1, dtype=np.float32)
    return mean


def _require_sound(samples: Waveform) -> None:
    largest = float(np.abs(samples).max(initial=0))
    if not np.isfinite(largest):
        raise AudioError("the samples are not all finite: NaN or infinite values are not audio")
    if largest > LOUDEST:
        raise AudioError(f"a sample is as large as {largest:.3g} where floats in [-1, 1] are expected: scale them")


class Resampler:
    """From `rate` to `target` Hz, block by block: joined, what comes is what `resample` makes of the whole."""

    def __init__(self, rate: float, target: int) -> None:
        """Raises AudioError for a rate that is none, AudioPackageError without soxr where they are different."""
        self._stream = None
        if _are_different(rate, target):
            self._stream = _soxr(rate, target).ResampleStream(rate, target, 1, dtype="float32", quality=QUALITY)

    def add(self, samples: Waveform, is_last: bool = False) -> Waveform:
        """What is certain behind the next samples, `[n]`; behind the last of them, all that is left."""
        if self._stream is None:
            return samples
        block = np.ascontiguousarray(samples, np.float32)
        return np.asarray(self._stream.resample_chunk(block, last=is_last), np.float32)

    def finish(self) -> Waveform:
        """What is left when all samples have been added."""
        return self.add(np.zeros(0, np.float32), is_last=True)


def resample(samples: Waveform, rate: float, target: int) -> Waveform:
    """From `rate` to `target` Hz by soxr's HQ filter; nothing where they are equal."""
    if not _are_different(rate, target):
        return samples
    return np.asarray(_soxr(rate, target).resample(samples, rate, target, quality=QUALITY), np.float32)


def _are_different(rate: float, target: int) -> bool:
    for value in (rate, target):
        if not isinstance(value, int | float | np.number) or not RATES[0] <= value <= RATES[1]:
            raise AudioError(f"expected a sampling rate of {RATES[0]} to {RATES[1]} Hz, got {value!r}")
    return bool(rate != target)


def _soxr(rate: float, target: int) -> Any:
    try:
        import soxr
    except ImportError as error:
        raise AudioPackageError(f"resampling from {rate} to {target} Hz", "soxr") from error
    return soxr
