"""Tiny float bundles, exported once per run of the tests."""

from pathlib import Path
from typing import Any

import pytest
from checkpoints import make_checkpoint
from edgespeech_export import ExportOptions, export
from encoder_decoders import LAYER_NORM, make_encoder_decoder
from kinds import KINDS


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make the checkpoint of a kind, or of an encoder-decoder, once."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind) / "checkpoint"
            if kind == "encoder-decoder":
                encoder = {**LAYER_NORM, "num_hidden_layers": 1, "add_adapter": True, "num_adapter_layers": 1}
                made[kind] = make_encoder_decoder(folder, "bart", "wav2vec2", encoder=encoder)
            else:
                family, options = KINDS[kind]
                made[kind] = make_checkpoint(folder, family, **options)  # type: ignore[arg-type]
        return made[kind]

    return make


@pytest.fixture(scope="session")
def float_bundle(tiny_checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Export a kind for an engine, once."""
    made: dict[tuple[str, str], Path] = {}

    def make(kind: str, engine: str) -> Path:
        if (kind, engine) not in made:
            bundle = tmp_path_factory.mktemp("float") / f"{kind}-{engine}"
            export(tiny_checkpoint(kind), bundle, ExportOptions(engine=engine))  # type: ignore[arg-type]
            made[kind, engine] = bundle
        return made[kind, engine]

    return make
