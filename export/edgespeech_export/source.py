"""What an export starts from, whatever the task: a checkpoint's model, and what must be said of it.

A task is a subclass: it knows its graphs, the files beside them, and how to prove a bundle. `reading` picks it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.contracts import Task
from edgespeech_runtime.manifest import Audio, EngineName, FloatPrecision, Frames
from torch.nn.utils import parametrize

from edgespeech.models.pretrained import PreTrainedModel
from edgespeech.models.speech import SpeechModel
from edgespeech.processing import Wav2Vec2FeatureExtractor
from edgespeech_export.graphs import GraphSource

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Source(ABC):
    """A checkpoint, loaded: the model with its weight norm folded, and the facts that the manifest wants."""

    task: ClassVar[Task]

    folder: Path
    model: PreTrainedModel
    encoder: SpeechModel
    audio: Audio
    frames: Frames

    @property
    def bytes(self) -> int:
        """Size of the weights in float32."""
        tensors = self.model.state_dict().values()  # a folded weight is no parameter any more
        return 4 * sum({tensor.data_ptr(): tensor.numel() for tensor in tensors if tensor.numel()}.values())

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Fields of the manifest that this task alone has."""

    @property
    def origins(self) -> dict[str, Any]:
        """What the manifest's provenance says beside the checkpoint and the tools."""
        return {}

    @abstractmethod
    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """Return the graphs in the form that suits the engine."""

    @abstractmethod
    def write_files(self, folder: Path) -> None:
        """Write the files that stand beside the graphs."""

    @abstractmethod
    def golden(self) -> tuple[Arrays, float]:
        """Return a short input with the reference model's output for it, and the largest logit in that."""

    @abstractmethod
    def prove(self, bundle: Path, precision: FloatPrecision) -> dict[str, object]:
        """Compare a bundle with the model and return the report.

        Raises:
            ProofError: a difference beyond the tolerance.
        """


def hearing(folder: Path, encoder: SpeechModel) -> tuple[Audio, Frames]:
    """Return what the manifest says of a model's input; folds the weight norm of the encoder's positional convolution.

    Raises:
        CheckpointError: the feature extractor's file is missing or damaged.
    """
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    positional = encoder.encoder.pos_conv_embed.conv
    if parametrize.is_parametrized(positional, "weight"):
        parametrize.remove_parametrizations(positional, "weight")
    kernels, strides, paddings = zip(*encoder.convolutions, strict=True)
    hop = int(np.prod(strides))
    audio = Audio(extractor.sampling_rate, extractor.do_normalize, hop, encoder.shortest)
    return audio, Frames(kernels, strides, paddings)
