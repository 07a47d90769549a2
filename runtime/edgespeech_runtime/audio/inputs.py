"""What a caller may hand over as sound, to waveforms at the model's rate."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import AudioError
from .files import AudioFile, read_audio
from .samples import Waveform, from_array, one_channel, resample

Array: TypeAlias = npt.NDArray[Any]
AudioInput: TypeAlias = AudioFile | Array | tuple[float, Array] | Mapping[str, Any]


def is_single(audio: Any) -> bool:
    """Whether something handed over is one recording and no list of them: a pair of rate and array is one."""
    return not isinstance(audio, list | tuple) or _is_pair(audio)


def to_waveforms(
    audio: Sequence[AudioInput],
    sampling_rate: float | None,
    model_rate: int,
    shortest: int,
    *,
    channel: int | None = None,
    allow_truncated: bool = False,
) -> list[Waveform]:
    """Every item as float32 `[samples]` at `model_rate` Hz; `sampling_rate` is that of bare arrays (None: the model's).

    An item is a file as `read_audio` takes it, an array `[samples]` or `[samples, channels]` of floats in [-1, 1] or of
    integers, which are scaled by their type, a pair (rate, array), or a mapping with "array" and "sampling_rate", or
    with "bytes" or "path", as Hugging Face's datasets have them. `channel` and `allow_truncated`: see `read_audio`.
    Raises AudioError that names the item, also where one is shorter than `shortest` samples.
    """
    waveforms = []
    rate = model_rate if sampling_rate is None else sampling_rate
    for index, item in enumerate(audio):
        try:
            name, samples = _to_waveform(item, rate, model_rate, channel, allow_truncated)
            _require_length(samples, name, model_rate, shortest)
            waveforms.append(samples)
        except AudioError as error:
            if len(audio) > 1:
                error.args = (f"audio[{index}]: {error}",)
            raise
    return waveforms


def _to_waveform(
    item: Any, sampling_rate: float, model_rate: int, channel: int | None, allow_truncated: bool
) -> tuple[str | None, Waveform]:
    """The name of a file, and the samples."""
    if isinstance(item, Mapping):
        item = _from_mapping(item)
    if _is_pair(item):
        sampling_rate, item = _turned(item)
    if _is_file(item):
        name = os.fspath(item) if isinstance(item, str | os.PathLike) else getattr(item, "name", None)
        return name, read_audio(item, model_rate, channel=channel, allow_truncated=allow_truncated)
    array = from_array(item)
    return None, resample(one_channel(array, channel), sampling_rate, model_rate)


def _require_length(samples: Waveform, name: str | None, model_rate: int, shortest: int) -> None:
    if len(samples) < shortest:
        found, least = (f"{n} samples ({1000 * n / model_rate:.1f} ms)" for n in (len(samples), shortest))
        where = "" if name is None else f"{name}: "
        raise AudioError(f"{where}{found} of sound at {model_rate} Hz are too few: this model needs at least {least}")


def _is_file(item: Any) -> bool:
    return isinstance(item, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(item, "read")


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float | np.number) and not isinstance(item, bool)


def _is_pair(item: Any) -> bool:
    """Whether it is (rate, array), or the same the wrong way round."""
    return isinstance(item, tuple) and len(item) == 2 and _is_number(item[0]) != _is_number(item[1])


def _turned(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if not _is_number(pair[0]):
        kind = type(pair[0]).__name__
        raise AudioError(f"expected a pair (sampling rate, array), got ({kind}, {pair[1]!r}): turn it round")
    if isinstance(pair[1], str | os.PathLike | bytes):
        raise AudioError(
            f"expected a pair (sampling rate, array), got a file in it, {pair[1]!r}: files have their rate"
        )
    return pair


def _from_mapping(item: Mapping[str, Any]) -> Any:
    """What stands in {"array", "sampling_rate"}, or in {"bytes", "path"}."""
    array = item.get("array", item.get("raw"))
    if array is not None:
        if item.get("sampling_rate") is None:
            raise AudioError('expected "sampling_rate" beside "array", got none')
        return item["sampling_rate"], array
    for key in ("bytes", "path"):
        if item.get(key) is not None:
            return item[key]
    raise AudioError(
        'expected a mapping with "array" and "sampling_rate", or with "bytes" or "path", got '
        f"{', '.join(map(repr, item)) or 'an empty one'}"
    )
