"""A part of a sound file: from an offset on, for so long, one channel. Where a format allows it, only that is read."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.audio import AudioBlocks
from edgespeech_runtime.errors import AudioError

LATE = 0.1  # seconds by which a part may end behind its file: manifests round
WITHOUT_SEEKING = (".mp3", ".mp2", ".mpga")  # their frames do not say where they stand

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """From `offset` on for `seconds` (None: to the end); `channel` alone, 1 is the first (None: as for whole files)."""

    offset: float = 0.0
    seconds: float | None = None
    channel: int | None = None

    def bounds(self, length: float, name: str) -> tuple[float, float]:
        """Where it begins and ends in a file of `length` seconds. Raises AudioError, which begins with `name`."""
        if self.offset >= length:
            raise AudioError(
                f"{name}: the offset {self.offset:g} s lies behind the end of the file: it has {length:g} s"
            )
        stop = length if self.seconds is None else self.offset + self.seconds
        if stop > length + LATE:
            raise AudioError(
                f"{name}: the part from {self.offset:g} to {stop:g} s ends behind the end of the file: it has "
                f"{length:g} s"
            )
        return self.offset, min(stop, length)


def read_part(
    path: str | os.PathLike[str],
    part: Part,
    sampling_rate: int,
    *,
    channel: int | None = None,
    allow_truncated: bool = False,
) -> Waveform:
    """The samples of a part, float32 `[samples]` at `sampling_rate` Hz. `channel` is taken where the part has none.

    Raises AudioError for a part that the file does not have, and as `read_audio`.
    """
    chosen = channel if part.channel is None else part.channel
    blocks = AudioBlocks(path, sampling_rate, channel=chosen, allow_truncated=allow_truncated)
    found = _by_seeking(path, part)
    if found is not None:
        rate, samples = found
        try:
            return AudioBlocks(samples, sampling_rate, sampling_rate=rate, channel=chosen).whole()
        except AudioError as error:
            raise AudioError(f"{os.fspath(path)}: {error}") from error
    return _by_reading(blocks, part, sampling_rate, os.fspath(path))


def _by_seeking(path: str | os.PathLike[str], part: Part) -> tuple[int, npt.NDArray[Any]] | None:
    """Rate and samples `[n, channels]`; None where the file cannot be sought in."""
    if Path(path).suffix.lower() in WITHOUT_SEEKING:
        return None
    try:
        import soundfile
    except (ImportError, OSError):
        return None
    try:
        with soundfile.SoundFile(os.fspath(path)) as sound:
            if not sound.seekable() or not 0 < sound.frames < 2**62:
                return None
            rate = sound.samplerate
            start, stop = (round(at * rate) for at in part.bounds(sound.frames / rate, os.fspath(path)))
            sound.seek(start)
            samples = sound.read(stop - start, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, TypeError):  # TypeError: headerless, by the name's ending
        return None
    if len(samples) < stop - start:
        raise AudioError(f"{os.fspath(path)}: truncated, the part has {len(samples)} of {stop - start} samples")
    return rate, samples


def _by_reading(blocks: AudioBlocks, part: Part, rate: int, name: str) -> Waveform:
    """The samples by reading the file up to the end of the part."""
    start = round(part.offset * rate)
    stop = None if part.seconds is None else round((part.offset + part.seconds) * rate)
    kept, count = [], 0
    for block in blocks:
        kept.append(block[max(0, start - count) : None if stop is None else max(0, stop - count)])
        count += len(block)
        if stop is not None and count >= stop:
            return np.concatenate(kept)
    part.bounds(count / rate, name)
    return np.concatenate(kept)
