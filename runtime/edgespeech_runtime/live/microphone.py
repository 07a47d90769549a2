"""Sound from a microphone, by the package sounddevice and the library PortAudio (extra `mic`)."""

import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from ..errors import ArgumentError, AudioPackageError, MicrophoneError
from .intake import GAP, Waveform
from .levels import ZeroWatch, level

RATE = 16000  # Hz, that of nearly all speech models
BLOCK = 0.04  # seconds: no text comes sooner than the block that brings its sound
ZEROS = 3.0  # seconds of nothing but zeros at the beginning
STOPPED = 2.0  # seconds without a block


@dataclass(frozen=True)
class InputDevice:
    """A sound input of this machine; `sampling_rate` in Hz is what it works at by itself."""

    index: int
    name: str
    channels: int
    sampling_rate: float
    is_default: bool


def input_devices() -> list[InputDevice]:
    """All of them, none being no error. Raises AudioPackageError without sounddevice, MicrophoneError."""
    sounddevice = _sounddevice()
    try:
        default = sounddevice.default.device[0]
        return [
            InputDevice(
                index, str(entry["name"]), entry["max_input_channels"], entry["default_samplerate"], index == default
            )
            for index, entry in enumerate(sounddevice.query_devices())
            if entry["max_input_channels"] > 0
        ]
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"the sound devices of this machine cannot be listed ({error})") from error


class Microphone:
    """Blocks of a microphone, float32 `[samples]` in [-1, 1]: `for block in Microphone(): ...`, without an end.

    What comes while a block is worked on waits in memory; nothing is dropped. Iterating opens the device, and leaving
    the loop, a `with` block or `close` closes it.

    Attributes:
        sampling_rate: of the blocks, in Hz: the one asked for, or the device's own where it cannot have that.
        level: of the block that was given last, in dB.
        time: seconds from the beginning to that block, with those that the sound card lost.
        overflows: how often the sound card lost samples.
    """

    def __init__(
        self,
        device: int | str | None = None,
        sampling_rate: int = RATE,
        *,
        channel: int | None = None,
        zeros: float | None = ZEROS,
    ) -> None:
        """`device` is a number or a part of a name, see `input_devices`; None is the system's own choice.

        The system mixes channels to one where it can, else all are averaged; `channel` alone is taken if it is given (1
        is the first). So many seconds of `zeros` at the beginning
        are an error, None: they are not. Raises AudioPackageError without sounddevice, MicrophoneError where there is
        no such microphone or it cannot be used, ArgumentError.
        """
        self._sounddevice = _sounddevice()
        facts = self._facts(device)
        self.name = str(facts["name"])
        self._device, self._channel = facts["index"], channel
        self._channels, self.sampling_rate = self._usable(facts, float(sampling_rate))
        self.level, self.time, self.overflows = level(np.zeros(0, np.float32)), 0.0, 0
        self._zeros = zeros
        self._came: queue.SimpleQueue[tuple[Waveform, float, bool]] = queue.SimpleQueue()
        self._stream: Any = None

    @property
    def lag(self) -> float:
        """Seconds of sound that wait to be given."""
        return self._came.qsize() * BLOCK

    def __iter__(self) -> Iterator[Waveform]:
        """Raises MicrophoneError where the device stops, or gives only zeros."""
        watch = None if self._zeros is None else ZeroWatch(self._zeros, self.sampling_rate)
        self._open()
        samples, lost, begin = 0, 0.0, None
        try:
            while self._stream is not None:
                block, came, has_lost = self._next(samples)
                if begin is None:
                    begin = came - len(block) / self.sampling_rate
                if has_lost:
                    self.overflows += 1
                    ahead = came - begin - (samples + len(block)) / self.sampling_rate - lost
                    lost += ahead if ahead > GAP else 0.0
                self.level, self.time = level(block), samples / self.sampling_rate + lost
                if watch is not None and watch.is_dead(block):
                    raise MicrophoneError(
                        f"{self.name} gives nothing but zeros: allow this program to use the microphone in the privacy "
                        "settings of the system, or switch the microphone on"
                    )
                samples += len(block)
                yield block
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the device; closing again does nothing."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def __enter__(self) -> "Microphone":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, samples: int) -> tuple[Waveform, float, bool]:
        while True:
            try:
                return self._came.get(timeout=STOPPED)
            except queue.Empty:
                raise MicrophoneError(
                    f"{self.name} stopped after {samples / self.sampling_rate:.1f} s: is it still connected?"
                ) from None

    def _open(self) -> None:
        if self._stream is not None:
            raise MicrophoneError(f"{self.name} is in use already: one loop at a time goes over its blocks")
        self._came = queue.SimpleQueue()
        try:
            self._stream = self._sounddevice.InputStream(
                samplerate=self.sampling_rate,
                blocksize=round(BLOCK * self.sampling_rate),
                device=self._device,
                channels=self._channels,
                dtype="float32",
                callback=self._take,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            self.close()
            raise MicrophoneError(f"{self.name} cannot be opened ({error}): does another program use it?") from error

    def _take(self, block: Waveform, frames: int, times: Any, status: Any) -> None:
        """Called by the sound card's thread, which must not wait."""
        one = block.mean(axis=1) if self._channel is None else block[:, self._channel - 1]
        self._came.put((np.array(one, np.float32), time.monotonic(), bool(status.input_overflow)))

    def _facts(self, device: int | str | None) -> Any:
        """What PortAudio knows of the device."""
        if device is not None and (isinstance(device, bool) or not isinstance(device, int | str)):
            raise ArgumentError(f"device: expected a number or a part of a name, got {device!r}")
        devices = input_devices()
        if not devices:
            raise MicrophoneError("no microphone: this machine has no sound input; connect one")
        if isinstance(device, int) and device not in [entry.index for entry in devices]:
            numbers = ", ".join(f"{entry.index} ({entry.name})" for entry in devices)
            raise MicrophoneError(f"device {device} is no microphone: there are {numbers}")
        try:
            return self._sounddevice.query_devices(device, "input")
        except ValueError as error:  # no name has this part, or several have
            raise MicrophoneError(
                f"device {device!r}: {error}; there are {', '.join(e.name for e in devices)}"
            ) from None
        except self._sounddevice.PortAudioError as error:
            raise MicrophoneError(
                f"the system has chosen no microphone ({error}): choose one of {', '.join(e.name for e in devices)}"
            ) from error

    def _usable(self, facts: Any, wanted: float) -> tuple[int, float]:
        """Channels and rate at which the device can be opened: one channel and the rate that is wanted, if it can."""
        most, own = int(facts["max_input_channels"]), float(facts["default_samplerate"])
        channel = self._channel
        if channel is not None and (isinstance(channel, bool) or not 1 <= channel <= most):
            raise ArgumentError(f"channel: expected a number from 1 to {most}, those of {self.name}, got {channel!r}")
        reason: Exception | None = None
        for rate in dict.fromkeys((wanted, own)):
            for channels in dict.fromkeys((1, min(most, 2), most) if channel is None else (channel, most)):
                try:
                    self._sounddevice.check_input_settings(
                        device=self._device, channels=channels, dtype="float32", samplerate=rate
                    )
                    return channels, rate
                except self._sounddevice.PortAudioError as error:
                    reason = error
        raise MicrophoneError(f"{self.name} can be used at neither {wanted:g} nor {own:g} Hz ({reason})")


def _sounddevice() -> Any:
    """The package. Raises AudioPackageError without it, MicrophoneError without its library."""
    try:
        import sounddevice
    except ImportError as error:
        raise AudioPackageError("a microphone", "sounddevice", "mic") from error
    except OSError as error:
        raise MicrophoneError(
            f"a microphone needs the library PortAudio ({error}): apt install libportaudio2 on Debian and Ubuntu, dnf "
            "install portaudio on Fedora"
        ) from error
    return sounddevice
