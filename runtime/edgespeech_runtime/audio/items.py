"""What a caller may hand over as sound, and what stands in it. It reads no file and converts no array."""

import os
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import AudioError
from .sources import AudioFile

Array: TypeAlias = npt.NDArray[Any]
AudioInput: TypeAlias = AudioFile | Array | tuple[float, Array] | Mapping[str, Any]


def is_single(audio: Any) -> bool:
    """Whether something handed over is one recording and no list of them: a pair of rate and array is one."""
    return not isinstance(audio, list | tuple) or _is_pair(audio)


def unpacked(item: Any, sampling_rate: float) -> tuple[Any, float]:
    """A file or an array, and the rate of the latter: `sampling_rate` where the item does not bring its own.

    Raises AudioError for a pair or a mapping that is none.
    """
    if isinstance(item, Mapping):
        item = _from_mapping(item)
    if _is_pair(item):
        sampling_rate, item = _turned(item)
    return item, sampling_rate


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


def _listed(numbers: list[Any]) -> Array:
    """Samples that stand in a list, as JSON has them."""
    try:
        return np.asarray(numbers)
    except ValueError:
        raise AudioError('expected numbers in "array", got a list of lists of several lengths') from None


def _from_mapping(item: Mapping[str, Any]) -> Any:
    """What stands in {"array", "sampling_rate"}, or in {"bytes", "path"}."""
    array = item.get("array", item.get("raw"))
    if array is not None:
        if item.get("sampling_rate") is None:
            raise AudioError('expected "sampling_rate" beside "array", got none')
        return item["sampling_rate"], _listed(array) if isinstance(array, list) else array
    for key in ("bytes", "path"):
        if item.get(key) is not None:
            return item[key]
    raise AudioError(
        'expected a mapping with "array" and "sampling_rate", or with "bytes" or "path", got '
        f"{', '.join(map(repr, item)) or 'an empty one'}"
    )
