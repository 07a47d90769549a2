"""Speed of two bundles side by side: one run, the same audio, turn by turn, so that both meet the same machine."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from edgespeech_export.provenance import machine
from edgespeech_runtime.tasks import AnyModel

from edgespeech_calib.quantization.judge.predictions import EXCERPT_TOKENS, Waveform, open_model, predict

RUNS = 5


@dataclass(frozen=True)
class Speed:
    """Median seconds of both for `audio_seconds` of speech, on `machine` with the engine's own choice of threads."""

    audio_seconds: float
    float_seconds: float
    seconds: float
    machine: str

    @property
    def ratio(self) -> float:
        """How many times as fast as the float bundle."""
        return self.float_seconds / self.seconds


def compare(floating: Path, quantized: Path, waveform: Waveform) -> Speed:
    """Time two bundles on [samples].

    Raises:
        EngineError: one cannot be run.
    """
    with open_model(floating) as first, open_model(quantized) as second:
        models = (first, second)
        times: tuple[list[float], list[float]] = ([], [])
        for run in range(RUNS + 1):
            for model, seconds_of_model in zip(models, times, strict=True):
                seconds = _timed(model, waveform)
                if run:  # the first pays for what is done once
                    seconds_of_model.append(seconds)
        rate = first.manifest.audio.sampling_rate
    before, after = (statistics.median(seconds_of_model) for seconds_of_model in times)
    return Speed(len(waveform) / rate, before, after, machine())


def _timed(model: AnyModel, waveform: Waveform) -> float:
    start = time.perf_counter()
    predict(model, waveform, max_tokens=EXCERPT_TOKENS)
    return time.perf_counter() - start
