"""Checkpoints of each kind and their bundles, exported once per run of the tests, for all packages that read one.

case = Kinds(folder).case("wav2vec2-group", "onnx")
case.bundle
case = Kinds(folder).case("xvector", "openvino", static=StaticShapes((0.7, 2.0)))
case.expected(waveform)
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from checkpoints import CLASSES, make_checkpoint
from edgespeech_export import ExportOptions, StaticShapes, export
from edgespeech_runtime.audio.waveform import normalize
from kinds import HEAD_KINDS, KINDS, RELATIVES, SMALL
from safetensors.torch import load_file, save_file
from sharing import once

from edgespeech import AutoModelForCTC
from edgespeech.models.heads.ctc import SpeechForCTC

TOKENIZER = ("vocab.json", "tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True)
class Case:
    """A checkpoint and its bundle for one engine."""

    kind: str
    checkpoint: Path
    bundle: Path

    @cached_property
    def model(self) -> SpeechForCTC:
        """The reference model."""
        found: SpeechForCTC = AutoModelForCTC.from_pretrained(self.checkpoint)
        return found

    @cached_property
    def theirs(self) -> Any:
        """The model in transformers, of a kind with another head than CTC's."""
        family, head, _ = HEAD_KINDS[self.kind]
        found = getattr(transformers, CLASSES[family] + head).from_pretrained(  # type: ignore[index]
            self.checkpoint, attn_implementation="eager"
        )
        return found.eval()

    @torch.inference_mode()
    def expected(self, waveform: np.ndarray) -> np.ndarray:
        """What transformers computes for one utterance: (labels,), (frames, labels) or (dimensions,)."""
        output = self.theirs(torch.from_numpy(normalize(waveform))[None])
        found: np.ndarray = (output.embeddings if "embeddings" in output else output.logits)[0].numpy()
        return found


class Kinds:
    """Makes each case once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._checkpoints: dict[str, Path] = {}
        self._cases: dict[tuple[Any, ...], Case] = {}

    def checkpoint(self, kind: str) -> Path:
        """Write the checkpoint of a kind."""
        if kind not in self._checkpoints:
            make = make_headed if kind in HEAD_KINDS else make_ctc
            self._checkpoints[kind] = once(self._folder / kind, lambda folder: make(folder, kind))
        return self._checkpoints[kind]

    def case(self, kind: str, engine: str, precision: str = "float32", static: StaticShapes | None = None) -> Case:
        """Export."""
        key = (kind, engine, precision, static)
        if key not in self._cases:
            checkpoint = self.checkpoint(kind)
            options = ExportOptions(engine=engine, precision=precision, static=static)  # type: ignore[arg-type]
            name = f"{kind}-{hashlib.sha256(repr(options).encode()).hexdigest()[:16]}"
            bundle = once(self._folder / name, lambda folder: export(checkpoint, folder, options))
            self._cases[key] = Case(kind, checkpoint, bundle)
        return self._cases[key]


def make_ctc(folder: Path, kind: str) -> Path:
    """Write a checkpoint of KINDS or RELATIVES and return its folder."""
    family, options = (KINDS | RELATIVES)[kind]
    make_checkpoint(folder, family, **options)  # type: ignore[arg-type]
    silence_special_tokens(folder)
    return folder


def make_headed(folder: Path, kind: str) -> Path:
    """Write a checkpoint of HEAD_KINDS, which has no tokenizer, and return its folder."""
    family, head, options = HEAD_KINDS[kind]
    make_checkpoint(folder, family, head=head, **{**SMALL, **options})  # type: ignore[arg-type]
    for name in TOKENIZER:
        (folder / name).unlink()
    return folder


def silence_special_tokens(checkpoint: Path) -> None:
    """Make <s>, </s> and <unk> improbable, as training does; random weights would emit them all the time."""
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.bias"][1:4] -= 6.0
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
