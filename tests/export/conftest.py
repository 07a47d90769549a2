"""Checkpoints of each kind, and their bundles, exported once per run of the tests."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest
from checkpoints import make_checkpoint
from edgespeech_export import ExportOptions, export, writers
from edgespeech_export.onnx_graph import to_onnx
from kinds import KINDS
from safetensors.torch import load_file, save_file

from edgespeech import AutoModelForCTC
from edgespeech.models.ctc import SpeechForCTC


@dataclass(frozen=True)
class Case:
    """A checkpoint, its reference model and its bundle for one engine."""

    checkpoint: Path
    model: SpeechForCTC
    bundle: Path


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make the checkpoint of a kind, once."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            family, options = KINDS[kind]
            made[kind] = make_checkpoint(tmp_path_factory.mktemp(kind) / "checkpoint", family, **options)
            silence_special_tokens(made[kind])
        return made[kind]

    return make


@pytest.fixture(scope="session")
def case_of(checkpoint_of: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Export the bundle of a kind for an engine, once."""
    made: dict[tuple[str, str, str], Case] = {}
    traced: dict[tuple[str, str, str], onnx.ModelProto] = {}

    def trace_once(kind: str, source: Any, samples: Any) -> onnx.ModelProto:
        """The same graph is traced once for all engines and precisions that have it."""
        key = (kind, source.name, type(source.module.model.base_model.feature_extractor).__name__)
        if key not in traced:
            traced[key] = to_onnx(source, samples)
        model = onnx.ModelProto()
        model.CopyFrom(traced[key])
        return model

    def make(kind: str, engine: str, precision: str = "float32") -> Case:
        key = (kind, engine, precision)
        if key not in made:
            checkpoint = checkpoint_of(kind)
            bundle = tmp_path_factory.mktemp("bundles") / "-".join(key)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(writers, "to_onnx", partial(trace_once, kind))
                export(checkpoint, bundle, ExportOptions(engine=engine, precision=precision))  # type: ignore[arg-type]
            made[key] = Case(checkpoint, AutoModelForCTC.from_pretrained(checkpoint), bundle)
        return made[key]

    return make


def silence_special_tokens(checkpoint: Path) -> None:
    """Make <s>, </s> and <unk> improbable, as training does; random weights would emit them all the time."""
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.bias"][1:4] -= 6.0
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
