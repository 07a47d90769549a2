"""CTC checkpoints of each kind and their bundles, exported once per run of the tests, for all packages that read one.

case = Kinds(folder, traces).case("wav2vec2-group", "onnx")
case.bundle
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from checkpoints import make_checkpoint
from edgespeech_export import ExportOptions, export
from kinds import KINDS
from safetensors.torch import load_file, save_file
from tracing import tracing_once

from edgespeech import AutoModelForCTC
from edgespeech.models.ctc import SpeechForCTC


@dataclass(frozen=True)
class Case:
    """A checkpoint and its bundle for one engine."""

    checkpoint: Path
    bundle: Path

    @cached_property
    def model(self) -> SpeechForCTC:
        """The reference model."""
        found: SpeechForCTC = AutoModelForCTC.from_pretrained(self.checkpoint)
        return found


class Kinds:
    """Makes each case once. Graphs are traced once for all engines and precisions that have the same."""

    def __init__(self, folder: Path, traces: Path) -> None:
        self._folder, self._traces = folder, traces
        self._checkpoints: dict[str, Path] = {}
        self._cases: dict[tuple[str, str, str], Case] = {}

    def checkpoint(self, kind: str) -> Path:
        """Write the checkpoint of a kind."""
        if kind not in self._checkpoints:
            family, options = KINDS[kind]
            self._checkpoints[kind] = make_checkpoint(self._folder / kind, family, **options)  # type: ignore[arg-type]
            silence_special_tokens(self._checkpoints[kind])
        return self._checkpoints[kind]

    def case(self, kind: str, engine: str, precision: str = "float32") -> Case:
        """Export."""
        key = (kind, engine, precision)
        if key not in self._cases:
            bundle = self._folder / "-".join(("bundle", *key))
            with tracing_once(self._traces, kind):
                options = ExportOptions(engine=engine, precision=precision)  # type: ignore[arg-type]
                export(self.checkpoint(kind), bundle, options)
            self._cases[key] = Case(self.checkpoint(kind), bundle)
        return self._cases[key]


def silence_special_tokens(checkpoint: Path) -> None:
    """Make <s>, </s> and <unk> improbable, as training does; random weights would emit them all the time."""
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.bias"][1:4] -= 6.0
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
