"""Checks and conversions of sound: files by content, arrays by type, one channel, one sampling rate."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import AudioError, AudioFileMissingError, AudioPackageError
from .wave import read_wave

AudioInput: TypeAlias = str | os.PathLike[str] | npt.NDArray[Any]
Waveform = npt.NDArray[np.float32]

RATES = (1_000, 1_000_000)  # Hz; outside lies a mistake, such as a rate in kHz
BLOCK = 2**20  # samples that are decoded at a time


def read_audio(path: str | os.PathLike[str], sampling_rate: int) -> Waveform:
    """Read a sound file as float32 `[samples]` in [-1, 1] at `sampling_rate` Hz; channels are averaged.

    Plain WAVE is read here; FLAC, OGG, MP3 and whatever else soundfile knows need the extra `audio`, as does another
    sampling rate. Raises AudioError for a file that is empty, damaged, cut off or no sound; AudioFileMissingError;
    AudioPackageError.
    """
    try:
        with Path(path).open("rb") as stream:
            magic = stream.read(4)
        is_wave = magic in (b"RIFF", b"RF64", b"BW64", b"RIFX") or Path(path).suffix.lower() in (".wav", ".wave")
        samples, rate = read_wave(path) if is_wave else _read_soundfile(path)
    except FileNotFoundError:
        raise AudioFileMissingError(path) from None
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return _resample(_one_channel(samples), rate, sampling_rate)
    except AudioPackageError:
        raise
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None


def to_waveforms(
    audio: Sequence[AudioInput], sampling_rate: float | None, model_rate: int, shortest: int
) -> list[Waveform]:
    """Every item as float32 `[samples]` at `model_rate` Hz; `sampling_rate` is that of the arrays (None: the model's).

    An array is `[samples]` or `[samples, channels]`: floats in [-1, 1] or integers, which are scaled by their type.
    Raises AudioError that names the item, also where one is shorter than `shortest` samples.
    """
    waveforms = []
    for index, item in enumerate(audio):
        try:
            waveforms.append(
                _to_waveform(item, model_rate if sampling_rate is None else sampling_rate, model_rate, shortest)
            )
        except AudioError as error:
            if len(audio) > 1:
                error.args = (f"audio[{index}]: {error}",)
            raise
    return waveforms


def _to_waveform(item: AudioInput, sampling_rate: float, model_rate: int, shortest: int) -> Waveform:
    if isinstance(item, str | os.PathLike):
        where, samples = f"{os.fspath(item)}: ", read_audio(item, model_rate)
    else:
        where, samples = "", _resample(_one_channel(_from_array(item)), sampling_rate, model_rate)
    if len(samples) < shortest:
        found, least = (f"{n} samples ({1000 * n / model_rate:.1f} ms)" for n in (len(samples), shortest))
        raise AudioError(f"{where}{found} of sound at {model_rate} Hz are too few: this model needs at least {least}")
    return samples


def _from_array(item: Any) -> Waveform:
    """Any common array as float32 in [-1, 1]."""
    if isinstance(item, bytes | list | tuple | dict | set) or item is None:
        raise AudioError(f"expected a path or an array of samples, got {type(item).__name__}")
    array = np.asarray(item)
    if array.ndim == 2 and 0 < array.shape[0] < array.shape[1]:
        raise AudioError(
            f"expected [samples, channels], got fewer samples than channels {list(array.shape)}: transpose it"
        )
    if array.dtype == np.uint8:
        return np.asarray((array.astype(np.float32) - 128) / 128, np.float32)
    if array.dtype.kind == "i" and array.dtype.itemsize <= 4:
        return np.asarray(array.astype(np.float32) / -float(np.iinfo(array.dtype).min), np.float32)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused with the infinite
            return array.astype(np.float32)
    raise AudioError(
        f"expected floats in [-1, 1], int8, int16, int32 or uint8 samples, got {array.dtype}: convert them"
    )


def _one_channel(samples: Waveform) -> Waveform:
    """`[samples]` or `[samples, channels] -> [samples]`, not empty and finite."""
    if samples.ndim not in (1, 2):
        raise AudioError(f"expected an array [samples] or [samples, channels], got the shape {list(samples.shape)}")
    if not samples.size:
        raise AudioError("there is no sound: 0 samples")
    if not np.isfinite(samples).all():
        raise AudioError("the samples are not all finite: NaN or infinite values are not audio")
    if samples.ndim == 1:
        return samples
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)


def _resample(samples: Waveform, rate: float, target: int) -> Waveform:
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


def _read_soundfile(path: str | os.PathLike[str]) -> tuple[Waveform, int]:
    """What soundfile can decode: float32 `[samples, channels]` and the rate in Hz."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, the library that it binds is not
        raise AudioPackageError(f"reading {path}, which is not a WAVE file,", "soundfile") from error
    try:
        with soundfile.SoundFile(os.fspath(path)) as sound:
            blocks = [sound.read(BLOCK, dtype="float32", always_2d=True)]
            while len(blocks[-1]) == BLOCK:  # by blocks, because a damaged header may promise any number of samples
                blocks.append(sound.read(BLOCK, dtype="float32", always_2d=True))
            samples, promised = np.concatenate(blocks), sound.frames
            is_exact = sound.format != "MP3" and promised < 2**62  # MP3 may guess, streams say 2**63
            if is_exact and len(samples) < promised:
                raise AudioError(f"{path}: truncated, it promises {promised} samples and has {len(samples)}")
            return samples, sound.samplerate
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless, by the name's ending
        raise AudioError(f"{path}: damaged, or no sound that can be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """An error of libsndfile without the path, which the caller names."""
    return str(getattr(error, "error_string", error)).strip().rstrip(".")
