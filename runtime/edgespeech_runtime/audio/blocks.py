"""Recordings of any length, block by block: one channel at the model's rate, and never the whole in memory."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from ..errors import AudioError, AudioPackageError
from .decoding import decoding
from .items import unpacked
from .samples import Decoded, Mix, Powers, Resampler, Waveform, array_blocks, checked_array, resample
from .sources import is_file, open_source

Opener: TypeAlias = Callable[[], contextlib.AbstractContextManager[Decoded]]


class AudioBlocks:
    """A recording as blocks of samples, float32 `[n]`, as often as it is iterated over; joined, they are the whole.

    Files are opened anew each time; pipes are read once, when this is made, and kept in a temporary file where they are
    long. Samples do not depend on where one block ends and the next begins. Iterating raises AudioError at the block in
    which something is wrong: those before it have come already.

    Attributes:
        sampling_rate: of the blocks, in Hz.
        file: the name of the file, None where the recording is none.
    """

    def __init__(
        self,
        audio: Any,
        model_rate: int,
        *,
        sampling_rate: float | None = None,
        channel: int | None = None,
        allow_truncated: bool = False,
    ) -> None:
        """`audio` is one recording as `to_waveforms` takes it, the options are its own; blocks have `model_rate` Hz.

        Raises AudioError for what is no recording, AudioFileMissingError.
        """
        item, rate = unpacked(audio, model_rate if sampling_rate is None else sampling_rate)
        self.sampling_rate = model_rate
        self.file: str | None = None
        self._name: str | None = None
        self._channel, self._mix = channel, None if channel is None else Mix(channel)
        if is_file(item):
            source = open_source(item)
            self.file = os.fspath(item) if isinstance(item, str | os.PathLike) else getattr(item, "name", None)
            self._name = source.name
            self._open: Opener = lambda: decoding(source, allow_truncated)
        else:
            array = checked_array(item)
            self._open = lambda: contextlib.nullcontext(array_blocks(array, rate))

    @property
    def duration(self) -> float | None:
        """Seconds, as far as the header says; None where it does not. Raises AudioError."""
        with self._open() as sound:
            return None if sound.samples is None else sound.samples / sound.rate

    def choose_channel(self) -> None:
        """Find out now how channels become one, which is else done when samples are first asked for.

        It gives an AudioWarning where all cancel each other. Raises AudioError.
        """
        with self._open() as sound:
            self._mixed(sound.channels)

    def __iter__(self) -> Iterator[Waveform]:
        with self._open() as sound:
            with self._named():
                resampler = Resampler(sound.rate, self.sampling_rate)
            mix, count = self._mixed(sound.channels), 0
            for block in sound.blocks:
                count += len(block)
                with self._named():
                    samples = resampler.add(mix(block))
                if len(samples):
                    yield samples
            with self._named():
                _require_samples(count)
                samples = resampler.finish()
            if len(samples):
                yield samples

    def whole(self) -> Waveform:
        """All samples, `[samples]`. A file is decoded once, whatever its channels."""
        with self._open() as sound:
            blocks = list(sound.blocks)
            with self._named():
                _require_samples(sum(map(len, blocks)))
            mix = self._mixed(sound.channels, blocks)
            with self._named():
                parts = [mix(block) for block in blocks]
                samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
                return resample(samples, sound.rate, self.sampling_rate)

    def whole_up_to(self, samples: int) -> Waveform | None:
        """All samples if there are at most so many; None for a longer recording, of which no more is kept."""
        seconds = self.duration
        if seconds is not None and seconds * self.sampling_rate > samples + self.sampling_rate:  # some headers guess
            return None
        if seconds is not None and seconds * self.sampling_rate <= samples:
            whole = self.whole()
            return whole if len(whole) <= samples else None
        parts, count = [], 0
        for block in self:
            parts.append(block)
            count += len(block)
            if count > samples:
                return None
        return np.concatenate(parts)

    def _mixed(self, channels: int, blocks: Iterable[Waveform] | None = None) -> Mix:
        """How channels become one. That depends on the whole recording: on `blocks`, or it is read once for that."""
        if self._mix is None and channels == 1:
            self._mix = Mix()
        if self._mix is None and blocks is None:
            with self._open() as sound:
                return self._mixed(channels, sound.blocks)
        if self._mix is None:
            powers = Powers()
            for block in blocks or ():
                with self._named():
                    powers.add(block)
            self._mix = powers.mix(self._name)
        return self._mix

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Let an error begin with the name of the file."""
        try:
            yield
        except AudioPackageError:
            raise
        except AudioError as error:
            if self._name is None:
                raise
            raise AudioError(f"{self._name}: {error}") from None


def _require_samples(count: int) -> None:
    if not count:
        raise AudioError("there is no sound: 0 samples")
