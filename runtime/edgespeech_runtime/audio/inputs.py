"""What a caller may hand over as sound, to waveforms at the model's rate."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import AudioError
from .blocks import AudioBlocks
from .items import AudioInput
from .samples import Waveform
from .sources import AudioFile, is_file


def read_audio(
    file: AudioFile, sampling_rate: int, *, channel: int | None = None, allow_truncated: bool = False
) -> Waveform:
    """Read a sound file as float32 `[samples]` in [-1, 1] at `sampling_rate` Hz; channels are averaged.

    `file` is a path, a file that is open for reading bytes, or the bytes of a whole sound file. Pipes are read once,
    from front to end. `channel` takes one channel instead of the mean of all, 1 is the first; where all cancel each
    other, the loudest is taken, with an AudioWarning. `allow_truncated` takes what is there of a file that is cut off.

    Plain WAVE is read here; FLAC, Ogg, MP3, compressed WAVE and whatever else soundfile knows need the extra `audio`,
    as does another sampling rate; m4a, mp4, webm, wma, amr and their like the extra `media`. Raises AudioError for a
    file that is empty, damaged, cut off or no sound; AudioFileMissingError; AudioPackageError.
    """
    if not is_file(file):
        raise AudioError(f"expected a path, an open file or the bytes of a sound file, got {type(file).__name__}")
    return AudioBlocks(file, sampling_rate, channel=channel, allow_truncated=allow_truncated).whole()


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
    for index, item in enumerate(audio):
        with named(index, len(audio)):
            options = {"channel": channel, "allow_truncated": allow_truncated}
            blocks = to_blocks(item, sampling_rate, model_rate, **options)
            samples = blocks.whole()
            require_length(samples, blocks.file, model_rate, shortest)
            waveforms.append(samples)
    return waveforms


def to_recordings(audio: Sequence[AudioInput], sampling_rate: float | None, model_rate: int) -> list[AudioBlocks]:
    """Every item as blocks of samples, which are read when they are asked for. Errors: see `to_waveforms`."""
    recordings = []
    for index, item in enumerate(audio):
        with named(index, len(audio)):
            recordings.append(to_blocks(item, sampling_rate, model_rate))
    return recordings


def to_blocks(item: AudioInput, sampling_rate: float | None, model_rate: int, **options: Any) -> AudioBlocks:
    """One item as blocks of samples; blocks at another rate than the model's are refused with an AudioError."""
    if not isinstance(item, AudioBlocks):
        return AudioBlocks(item, model_rate, sampling_rate=sampling_rate, **options)
    if item.sampling_rate != model_rate:
        raise AudioError(f"expected blocks at the model's {model_rate} Hz, got some at {item.sampling_rate} Hz")
    return item


@contextlib.contextmanager
def named(index: int, count: int) -> Iterator[None]:
    """Let an error about one of several recordings begin with its number in the list."""
    try:
        yield
    except AudioError as error:
        if count > 1:
            error.args = (f"audio[{index}]: {error}",)
        raise


def require_length(samples: Waveform, name: str | None, model_rate: int, shortest: int) -> None:
    """Raise AudioError for a recording of fewer than `shortest` samples; `name` is that of its file."""
    if len(samples) < shortest:
        found, least = (f"{n} samples ({1000 * n / model_rate:.1f} ms)" for n in (len(samples), shortest))
        where = "" if name is None else f"{name}: "
        raise AudioError(f"{where}{found} of sound at {model_rate} Hz are too few: this model needs at least {least}")
