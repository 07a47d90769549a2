"""What `edgespeech demo` does with each model: export it, quantize it, and transcribe with the bundles."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from edgespeech_runtime.cli.interrupts import Interrupted
from edgespeech_runtime.cli.kinds import transcribing

from edgespeech.cli.display.progress import Steps
from edgespeech.cli.runs import run_export

if TYPE_CHECKING:
    from edgespeech_calib import SpeechSet
    from edgespeech_runtime import Transcript
    from edgespeech_runtime.bundle.manifest import Manifest
    from edgespeech_runtime.choices import EngineName

FLOAT, INT8 = "float32", "INT8"


@dataclass
class DemoModel:
    """A checkpoint and its bundles: the manifest of each, and the seconds that it took, as far as they are made."""

    checkpoint: Path
    floating: Path
    purpose: str
    manifests: "dict[str, Manifest]" = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def bundles(self) -> dict[str, Path]:
        """The folder of each bundle."""
        return {FLOAT: self.floating, INT8: self.floating.with_name(f"{self.floating.name}-int8")}


@dataclass(frozen=True)
class Run:
    """Transcripts of a set's recordings by a bundle, and the seconds that it computed for `audio` seconds of sound."""

    transcripts: "list[Transcript]"
    seconds: float
    audio: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for each second of sound."""
        return self.seconds / max(self.audio, 1e-9)


Runs: TypeAlias = Mapping[str, Mapping[str, Run]]  # by the model's name, then by `FLOAT` and `INT8`


def export_float(model: DemoModel, engine: "EngineName", force: bool, quiet: bool) -> None:
    """Export the checkpoint with progress on stderr; see `runs.run_export`."""
    began = time.monotonic()
    model.manifests[FLOAT] = run_export(model.checkpoint, model.bundles[FLOAT], quiet, engine=engine, force=force)
    model.seconds[FLOAT] = time.monotonic() - began


def quantize(model: DemoModel, data: "SpeechSet", force: bool, quiet: bool) -> None:
    """Make INT8 of the float32 bundle with progress on stderr.

    Raises what `edgespeech_calib.quantization.quantize` raises, and Interrupted.
    """
    began = time.monotonic()
    try:
        with Steps(quiet) as step:
            from edgespeech_calib import quantization

            quantized = quantization.quantize(
                model.bundles[FLOAT], model.bundles[INT8], data, force=force, progress=step
            )
    except Interrupted as stop:
        stop.outcome = "; no INT8 bundle was written"
        raise
    model.manifests[INT8] = quantized.manifest
    model.seconds[INT8] = time.monotonic() - began


def transcripts(bundle: Path, data: "SpeechSet", quiet: bool) -> Run:
    """Transcribe all recordings of a set; reading sound files is not timed, nor is what the first run does once."""
    import edgespeech_runtime

    texts, seconds, audio = [], 0.0, 0.0
    with Steps(quiet) as step, transcribing(edgespeech_runtime.load(bundle), bundle) as model:
        step(f"transcribing with {bundle}")
        rate = model.manifest.audio.sampling_rate
        model.transcribe(data.utterances[0].audio.read(rate))
        for utterance in data:
            waveform = utterance.audio.read(rate)
            began = time.perf_counter()
            texts.append(model.transcribe(waveform))
            seconds += time.perf_counter() - began
            audio += len(waveform) / rate
    return Run(texts, seconds, audio)
