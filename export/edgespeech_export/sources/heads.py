"""Checkpoints of an encoder with a head as the source of an export: a waveform in, one output.

CTC has more to it, in `ctc_source`. What the classes of a checkpoint are is `edgespeech.models`' business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.manifest import PROBLEM_TYPES, Features
from edgespeech_runtime.choices import EngineName, Task

from edgespeech.checkpoint import read_json
from edgespeech.configuration import CONFIG
from edgespeech.errors import CheckpointError
from edgespeech.models.auto import (
    AutoModelForAudioClassification,
    AutoModelForAudioFrameClassification,
    AutoModelForAudioXVector,
)
from edgespeech.models.encoders.table import encoder_class
from edgespeech.models.heads.features import SpeechFeatures
from edgespeech.models.heads.head import StatesHead
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.graphs.heads import has_windows, head_graphs
from edgespeech_export.proof.heads import HeadReference, Windows, overlapping, reference
from edgespeech_export.sources.other_runtimes import write_configs
from edgespeech_export.sources.source import Source, audio_facts


@dataclass(frozen=True)
class HeadSource(Source):
    """A checkpoint of an encoder with a head, loaded.

    Attributes:
        own_facts: fields of the manifest that this task alone has.
        size: of the output's last axis.
    """

    own_facts: Mapping[str, Any]
    size: int

    @property
    def facts(self) -> dict[str, Any]:
        """See `Source.facts`."""
        return dict(self.own_facts)

    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """See `Source.graphs`."""
        return head_graphs(self.task, self.model_for(engine), self.size)

    @property
    def classifier(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
        """See `Source.classifier`: that of an x-vector, for other runtimes ask for its logits too."""
        if self.task != "audio-xvector":
            return None
        layer: Any = self.model.classifier
        return layer.weight.numpy(), layer.bias.numpy()

    def write_files(self, folder: Path) -> None:
        """See `Source.write_files`: the configurations that other runtimes read."""
        write_configs(folder, self)

    def reference(self) -> HeadReference:
        """See `Source.reference`."""
        waveforms, windows = self.waveforms, None
        if has_windows(self.task, self.model) and "static" not in self.facts:
            windows = Windows(overlapping(len(waveforms[0]), self.audio), self.frames)
        return reference(self.model, self.task, waveforms, self.audio.normalize, windows)


def read_classifier(folder: Path) -> HeadSource:
    """Load a checkpoint that names the class of an utterance.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
    """
    model = AutoModelForAudioClassification.from_pretrained(
        folder, require_all_weights=True, mapped=True
    ).requires_grad_(False)
    own = {"labels": model.labels, "problem_type": _problem_type(folder, model.config.extra.get("problem_type"))}
    return _source("audio-classification", folder, model, own, len(model.labels))


def _problem_type(folder: Path, given: Any) -> Any:
    if given is None or given in PROBLEM_TYPES:
        return given
    raise CheckpointError(f"{folder / CONFIG}: problem_type must be one of {', '.join(PROBLEM_TYPES)}, got {given!r}")


def read_frame_classifier(folder: Path) -> HeadSource:
    """Load a checkpoint that names the classes of each frame; errors as `read_classifier`."""
    model = AutoModelForAudioFrameClassification.from_pretrained(
        folder, require_all_weights=True, mapped=True
    ).requires_grad_(False)
    return _source("audio-frame-classification", folder, model, {"labels": model.labels}, len(model.labels))


def read_xvector(folder: Path) -> HeadSource:
    """Load a checkpoint that tells speakers apart by a vector; errors as `read_classifier`."""
    model = AutoModelForAudioXVector.from_pretrained(folder, require_all_weights=True, mapped=True).requires_grad_(
        False
    )
    size = model.config.xvector_output_dim
    return _source("audio-xvector", folder, model, {"dimensions": size}, size)


def read_features(folder: Path, layers: tuple[int, ...] | str) -> HeadSource:
    """Load the encoder of a checkpoint, whatever its head, for its hidden states: "last", "all" or chosen `layers`.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown family.
        ConfigError: a layer that the encoder does not have.
    """
    chosen = layers if isinstance(layers, tuple) else None
    if layers == "all":
        kind = encoder_class(read_json(folder / CONFIG).get("model_type"))
        chosen = tuple(range(kind.config_class.from_pretrained(folder).num_hidden_layers + 1))  # type: ignore[attr-defined]
    model = SpeechFeatures.read(folder, chosen).requires_grad_(False)
    audio, frames = audio_facts(folder, model.base_model)
    own = {"features": Features(model.dimensions, model.layers)}
    return HeadSource("feature-extraction", folder, model, model.base_model, audio, frames, own, model.size)


def _source(task: Task, folder: Path, model: StatesHead, own: Mapping[str, Any], size: int) -> HeadSource:
    audio, frames = audio_facts(folder, model.base_model, model.convolutions, model.least_frames[0])
    return HeadSource(task, folder, model, model.base_model, audio, frames, own, size)
