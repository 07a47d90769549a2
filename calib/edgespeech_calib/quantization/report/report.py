"""What a quantization did and measured: for the manifest, where it must be the same each time, and for people.

Times are not in the manifest: they differ from run to run, and the same inputs give the same bundle, bit for bit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgespeech_runtime.bundle.manifest import Manifest

from edgespeech.choices import Target
from edgespeech_calib.quantization.backend import IntegerShare
from edgespeech_calib.quantization.judge.gate import Judgement
from edgespeech_calib.quantization.options import QuantizationOptions, Types
from edgespeech_calib.quantization.search.layers import Kind, Stage
from edgespeech_calib.quantization.timing import Speed
from edgespeech_calib.speech.utterance import Skipped


@dataclass(frozen=True)
class LayerReport:
    """A layer of the finished bundle.

    Attributes:
        macs: multiply-accumulates on the probe utterance.
        noise: its output over the error in it if this layer alone is in INT8, in dB.
        precision: how it computes.
        why: why in float; empty for INT8.
    """

    name: str
    kind: Kind
    stage: Stage
    macs: int
    noise: float | None
    precision: Literal["int8", "float32"]
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        facts = {"name": self.name, "kind": self.kind, "stage": self.stage, "macs": self.macs}
        noise = None if self.noise is None or not math.isfinite(self.noise) else round(self.noise, 1)
        return {**facts, "noise_db": noise, "precision": self.precision} | ({"why": self.why} if self.why else {})


@dataclass(frozen=True)
class TrialReport:
    """A trial: layers in float, share of the work in INT8, whether the gate passed it, and what was measured."""

    floating: int
    share: float
    passed: bool
    result: str


@dataclass(frozen=True)
class Quantized:
    """A finished INT8 bundle.

    Attributes:
        manifest: of the bundle.
        judgement: of its gate.
        layers: in the order of the network.
        trials: in their order; one if nothing had to go back to float.
        float_bytes, bytes: size of all files of the float bundle and of this one, but for their manifests.
        speed: of both in the same run.
        seconds: that each step took, by its name, in order.
        skipped, resampled: calibration utterances that were left out, and those at other rates by rate.
        evaluation_skipped, evaluation_resampled: likewise of the labelled set.
    """

    manifest: Manifest
    judgement: Judgement
    layers: tuple[LayerReport, ...]
    trials: tuple[TrialReport, ...]
    float_bytes: int
    bytes: int
    speed: Speed
    seconds: dict[str, float]
    skipped: tuple[Skipped, ...]
    resampled: dict[int, int]
    evaluation_skipped: tuple[Skipped, ...] = ()
    evaluation_resampled: Mapping[int, int] | None = None

    def measured(self) -> dict[str, Any]:
        """Times, which are not in the manifest, for JSON."""
        speed = {
            "audio_seconds": self.speed.audio_seconds,
            "float_seconds": round(self.speed.float_seconds, 5),
            "seconds": round(self.speed.seconds, 5),
            "ratio": round(self.speed.ratio, 3),
            "machine": self.speed.machine,
        }
        return {"speed": speed, "steps": {name: round(value, 2) for name, value in self.seconds.items()}}


# Of a bundle whose weights alone are in INT8.
WEIGHTS = {
    "scheme": "weights",
    "arithmetic": "float32",
    "types": {"activation": "float32", "weight": "int8"},
    "why_these_types": "weights are widened to float32 when the bundle is loaded; no activation is rounded",
}


@dataclass(frozen=True)
class Facts:
    """What the manifest says of a quantization; see `quantization`."""

    options: QuantizationOptions
    target: Target
    types: Types
    layers: tuple[LayerReport, ...]
    encoder: IntegerShare
    decoder: IntegerShare | None
    judgement: Judgement
    trials: tuple[TrialReport, ...]
    float_bytes: int


def quantization(facts: Facts) -> dict[str, Any]:
    """Return `report["quantization"]` of the manifest: the same for the same inputs."""
    options = facts.options
    share = "integer_share" if facts.encoder.weights is None else "weights_share"
    entry: dict[str, Any] = {
        **(_integers(facts) if facts.encoder.weights is None else WEIGHTS),
        share: round(facts.encoder.reported, 4),
        "max_wer_increase": options.max_wer_increase,
        "max_changed_words": options.max_changed_words,
        "gate": facts.judgement.figures(),
        "tries": [
            {"layers_in_float": t.floating, share: round(t.share, 4), "passed": t.passed, "result": t.result}
            for t in facts.trials
        ],
        "float_bytes": facts.float_bytes,
        "layers": [layer.to_dict() for layer in facts.layers],
    }
    if facts.decoder is not None:
        entry["decoder"] = {
            "weights": options.decoder_weights,
            "integer_share": round(facts.decoder.share, 4),
            "ran_in_float": list(facts.decoder.floating),
        }
    return entry


def _integers(facts: Facts) -> dict[str, Any]:
    """How numbers are stored, of a bundle that computes in integers."""
    options, types = facts.options, facts.types
    return {
        "scheme": options.scheme,
        "ranges": options.ranges or "default",
        "target": facts.target,
        "types": {"activation": types.activation, "weight": types.weight, "reduce_range": types.reduce_range},
        "why_these_types": types.why,
        "ran_in_float": list(facts.encoder.floating),
    }
