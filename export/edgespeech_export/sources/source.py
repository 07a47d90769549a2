"""What an export starts from, whatever the task: a checkpoint's model, and what must be said of it.

A task is a subclass: it knows its graphs, the files beside them, and how to prove a bundle. `reading` picks it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.manifest import Audio, Context, Frames
from edgespeech_runtime.choices import EngineName, Task
from torch import nn
from torch.nn.utils import parametrize

from edgespeech.base.pretrained import PreTrainedModel
from edgespeech.encoder.lengths import samples_for
from edgespeech.encoder.positions import PositionalConv
from edgespeech.engines import ENGINES
from edgespeech.models.speech import SpeechModel
from edgespeech.processing import Wav2Vec2FeatureExtractor
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.proof.proof import Reference, Waveform, waveforms
from edgespeech_export.writers.channels_last import with_channels_last

Layer = tuple[int, int, int]  # kernel, stride, padding


@dataclass(frozen=True)
class Source(ABC):
    """A checkpoint, loaded: the model with its weight norm folded, and the facts that the manifest wants."""

    task: Task
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
    def context(self) -> Context:
        """What windows of a long recording must respect; the reach in frames after all layers."""
        layers = list(zip(*astuple(self.frames), strict=True))
        reach = self.encoder.encoder.pos_conv_embed.reach
        for _, stride, padding in layers[len(self.encoder.config.conv_dim) :]:
            reach = -(-(reach + padding) // stride)
        return Context(reach, self.encoder.config.feat_extract_norm == "group")

    def samples(self, frames: int) -> int:
        """Return the fewest samples that give so many frames, after all layers."""
        return samples_for(frames, list(zip(*astuple(self.frames), strict=True)))

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Fields of the manifest that this task alone has."""

    @property
    def classifier(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
        """Weight (out, in) and bias (out,) of a layer behind the output that other runtimes ask for; None: no such."""
        return None

    @property
    def origins(self) -> dict[str, Any]:
        """What the manifest's provenance says beside the checkpoint and the tools."""
        return {}

    def model_for(self, engine: EngineName) -> Any:
        """Return the model with its conv stack in the form that the engine runs fastest."""
        return with_channels_last(self.model, self.encoder) if ENGINES[engine].channels_last else self.model

    @abstractmethod
    def graphs(self, engine: EngineName) -> list[GraphSource]:
        """Return the graphs in the form that suits the engine."""

    @abstractmethod
    def write_files(self, folder: Path) -> None:
        """Write the files that stand beside the graphs."""

    @abstractmethod
    def reference(self) -> Reference:
        """Run the model on the inputs of the proof."""

    def release(self) -> None:
        """Let go of the weights, whose memory an engine may need: the proof asks the reference, not the model.

        Tools that traced the model refer to it for longer, so that it would not do to forget it.
        """
        empty(self.model)

    @property
    def waveforms(self) -> list[Waveform]:
        """The inputs of the proof."""
        return waveforms(self.audio, self.facts.get("static"))


def empty(model: nn.Module) -> None:
    """Free a model's weights; it cannot be run any more."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.new_empty(0)


def audio_facts(
    folder: Path, encoder: SpeechModel, layers: Sequence[Layer] | None = None, least: int = 1
) -> tuple[Audio, Frames]:
    """Return what the manifest says of a model's input; folds the positional convolution's weight norm.

    Args:
        folder: the checkpoint's.
        encoder: the encoder below the head.
        layers: kernel, stride and padding of what stands between samples and frames; None for the encoder's own.
        least: frames that the model needs.

    Raises:
        CheckpointError: the feature extractor's file is missing or damaged.
    """
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(folder)
    for layer in encoder.encoder.pos_conv_embed.modules():
        if isinstance(layer, PositionalConv):
            if parametrize.is_parametrized(layer.conv, "weight"):
                parametrize.remove_parametrizations(layer.conv, "weight")
            layer.trim()
    layers = encoder.convolutions if layers is None else layers
    kernels, strides, paddings = zip(*layers, strict=True)
    hop, shortest = int(np.prod(strides)), samples_for(least, layers)
    audio = Audio(extractor.sampling_rate, extractor.do_normalize, hop, shortest)
    return audio, Frames(kernels, strides, paddings)
