"""Silero's voice activity detector, an ONNX file that users name: https://github.com/snakers4/silero-vad.

It tells speech from music and clatter, which energy does not. The file runs in ONNX Runtime; the package `silero-vad`,
which brings it, is not needed. Versions 4 and 5 differ in their inputs: 5 and later get the end of the window before.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..engines import engine_module
from ..errors import ArgumentError, EngineError, EnginePackageError
from .activity import Activity, Frames, Waveform

VadModel: TypeAlias = str | os.PathLike[str]

RATES = {16000: (512, 64), 8000: (256, 32)}  # Hz: samples of a window, and of the one before that version 5 gets too
SPEECH, STILL_SPEECH = 0.5, 0.35  # probabilities above which speech begins, and below which it ends
SILENT = 1e-12  # power, -120 dB
STATES = {4: ("h", "c"), 5: ("state",)}  # inputs by version, beside the samples and, in most files, the rate
STATE_SIZE = {4: 64, 5: 128}


def open_vad(file: VadModel, rate: int) -> Callable[[], Activity]:
    """Open the model for sound at `rate` Hz; what is returned makes an `Activity` of it for each recording.

    Raises ArgumentError for a file that is missing or another one, and for a rate that the model does not take.
    """
    if not isinstance(file, str | os.PathLike):
        raise ArgumentError(f"vad: expected the path of Silero's ONNX file, got {type(file).__name__}")
    if rate not in RATES:
        raise ArgumentError(f"vad: Silero's model takes 16000 and 8000 Hz, this model takes {rate} Hz: leave it out")
    path = Path(file)
    if not path.is_file():
        raise ArgumentError(f"vad: {path}: no such file; expected Silero's ONNX file (silero_vad.onnx)")
    session, version = _opened(path)
    return partial(SileroActivity, session, version, rate)


def _opened(path: Path) -> tuple[Any, int]:
    """A session of ONNX Runtime, and the version of the model."""
    try:
        session = engine_module("onnx").Engine(1).session(path)
    except EnginePackageError as error:
        raise ArgumentError(
            "vad: Silero's model runs in onnxruntime, which is not installed: pip install edgespeech-runtime[onnx]"
        ) from error
    except EngineError as error:
        raise ArgumentError(f"vad: {path} is not Silero's ONNX file: {error}") from None
    inputs = {node.name for node in session.get_inputs()}
    for version, states in STATES.items():
        if inputs | {"sr"} == {"input", "sr", *states}:
            return session, version
    raise ArgumentError(
        f"vad: {path} is not Silero's ONNX file: expected the inputs input, sr and state (or h and c), got "
        f"{', '.join(sorted(inputs))}"
    )


class SileroActivity:
    """See `activity.Activity`: a frame is one window of the model."""

    def __init__(self, session: Any, version: int, rate: int) -> None:
        self.step, self._context = RATES[rate]
        self._session = session
        has_rate = "sr" in {node.name for node in session.get_inputs()}
        self._rate = {"sr": np.array(rate, np.int64)} if has_rate else {}
        self._states = {name: np.zeros((2, 1, STATE_SIZE[version]), np.float32) for name in STATES[version]}
        self._before = np.zeros(self._context if version == 5 else 0, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._is_speech = False

    def feed(self, samples: Waveform) -> Frames:
        """See `Activity.feed`."""
        samples = np.concatenate((self._waiting, samples))
        whole = len(samples) // self.step * self.step
        self._waiting = samples[whole:].copy()
        return Frames.joined([self._window(window) for window in samples[:whole].reshape(-1, self.step)])

    def finish(self) -> Frames:
        """See `Activity.finish`."""
        missing = -len(self._waiting) % self.step
        return self.feed(np.zeros(missing, np.float32))

    def _window(self, window: Waveform) -> Frames:
        inputs = {"input": np.concatenate((self._before, window))[None], **self._rate, **self._states}
        try:
            probability, *states = self._session.run(None, inputs)
        except Exception as error:  # onnxruntime's exceptions share no other base
            raise EngineError(f"vad: Silero's model failed: {error}") from error
        self._states = dict(zip(self._states, states, strict=True))
        if len(self._before):
            self._before = window[-self._context :].copy()
        threshold = STILL_SPEECH if self._is_speech else SPEECH
        self._is_speech = float(probability[0, 0]) >= threshold
        power = max(float(np.mean(np.square(window, dtype=np.float64))), SILENT)
        return Frames(np.array([self._is_speech]), np.array([10 * np.log10(power)]))
