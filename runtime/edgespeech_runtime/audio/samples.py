"""Checks and conversions of samples: any common type, one channel, one sampling rate. It reads no files."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioPackageError

RATES = (1_000, 1_000_000)  # Hz; outside lies a mistake, such as a rate in kHz
LOUDEST = 2.0**31  # floats in the units of 32-bit integers may be meant; beyond lies a mistake, and float32 overflows
CANCELLED = 0.1  # of the power that independent channels keep in their mean

Waveform = npt.NDArray[np.float32]


class AudioWarning(UserWarning):
    """Sound that is used, but not as it usually is."""


def from_array(item: Any) -> Waveform:
    """Any common array, or a tensor, as float32 in [-1, 1]: floats as they are, integers scaled by their type.

    Raises AudioError for any other type.
    """
    array = _as_array(item)
    if array.ndim == 2 and 0 < array.shape[0] < array.shape[1]:
        raise AudioError(
            f"expected [samples, channels], got fewer samples than channels {list(array.shape)}: transpose it"
        )
    if array.dtype == np.uint8:
        return np.asarray((array.astype(np.float32) - 128) / 128, np.float32)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 4:
        return np.asarray(array.astype(np.float32) / -float(np.iinfo(array.dtype).min), np.float32)
    if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused with the infinite
            return array.astype(np.float32)
    raise AudioError(
        f"expected floats in [-1, 1], int8, int16, int32 or uint8 samples, got {array.dtype}: convert them"
    )


def _as_array(item: Any) -> npt.NDArray[Any]:
    if isinstance(item, list | tuple | set) or item is None:
        raise AudioError(f"expected a path or an array of samples, got {type(item).__name__}")
    if all(hasattr(item, name) for name in ("detach", "cpu", "float")):  # a tensor of torch, which is not imported here
        item = item.detach().cpu()
        if str(item.dtype) == "torch.bfloat16":  # numpy has no such type
            item = item.float()
    try:
        return np.asarray(item)
    except (TypeError, ValueError, RuntimeError) as error:
        raise AudioError(f"expected a path or an array of samples, got {type(item).__name__} ({error})") from error


def one_channel(samples: Waveform, channel: int | None = None, name: str | None = None) -> Waveform:
    """`[samples]` or `[samples, channels] -> [samples]`, not empty and finite.

    It is the mean of all channels, or `channel` alone (1 is the first). Where channels cancel each other in the mean,
    as those of a reversed cable do, the loudest is taken instead, with an AudioWarning that begins with `name`.
    """
    if samples.ndim not in (1, 2):
        raise AudioError(f"expected an array [samples] or [samples, channels], got the shape {list(samples.shape)}")
    if not samples.size:
        raise AudioError("there is no sound: 0 samples")
    count = 1 if samples.ndim == 1 else samples.shape[1]
    if channel is not None:
        is_number = isinstance(channel, int | np.integer) and not isinstance(channel, bool)
        if not is_number or not 1 <= channel <= count:
            raise AudioError(f"channel: expected a number from 1 to {count}, the channels there are, got {channel!r}")
        samples = samples.reshape(len(samples), count)[:, channel - 1]
    largest = float(np.abs(samples).max())
    if not np.isfinite(largest):
        raise AudioError("the samples are not all finite: NaN or infinite values are not audio")
    if largest > LOUDEST:
        raise AudioError(f"a sample is as large as {largest:.3g} where floats in [-1, 1] are expected: scale them")
    if samples.ndim == 1:
        return samples
    return samples[:, 0] if count == 1 else _mean(samples, name)


def _mean(samples: Waveform, name: str | None) -> Waveform:
    mean: Waveform = samples.mean(axis=1, dtype=np.float32)
    powers = np.mean(np.square(samples, dtype=np.float64), axis=0)
    if np.mean(np.square(mean, dtype=np.float64)) >= CANCELLED * powers.mean() / len(powers):
        return mean
    loudest = int(powers.argmax())
    if powers[loudest]:
        warnings.warn(
            f"{'' if name is None else f'{name}: '}the {len(powers)} channels cancel each other in their mean; channel "
            f"{loudest + 1} alone is taken",
            AudioWarning,
            stacklevel=2,
        )
    return samples[:, loudest]


def resample(samples: Waveform, rate: float, target: int) -> Waveform:
    """From `rate` to `target` Hz by soxr's HQ filter; nothing where they are equal."""
    for value in (rate, target):
        if not isinstance(value, int | float | np.number) or not RATES[0] <= value <= RATES[1]:
            raise AudioError(f"expected a sampling rate of {RATES[0]} to {RATES[1]} Hz, got {value!r}")
    if rate == target:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise AudioPackageError(f"resampling from {rate} to {target} Hz", "soxr") from error
    return np.asarray(soxr.resample(samples, rate, target, quality="HQ"), np.float32)
