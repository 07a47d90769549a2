"""A speech model's graph in two parts, which are traced apart: the conv stack, and what is made of its features.

What is behind the conv stack is the same in several graphs of a model, and is traced once for all of them. It is traced
in a fraction of the time, too: there a number of frames is a size of its own, not seven divisions of one of samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edgespeech_runtime.bundle.contracts import LENGTHS
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from torch import Tensor, nn

from edgespeech.encoder.features import Patches
from edgespeech.models.speech import SpeechModel
from edgespeech_export.graphs.graphs import GraphSource

FEATURES = TensorSpec("conv_features", "float32", ("batch", "conv_frames", "channels"))
FEATURE_LENGTHS = TensorSpec("conv_lengths", "int64", ("batch",))


class Features(nn.Module):
    """What the conv stack of a model gives."""

    def __init__(self, model: nn.Module, encoder: SpeechModel) -> None:
        super().__init__()
        self.model = model
        self.path = next(name for name, part in model.named_modules() if part is encoder.feature_extractor)

    def forward(self, input_values: Tensor) -> Tensor:
        """(batch, samples) -> (batch, frames, channels); nothing is masked."""
        features: Tensor = self.model.get_submodule(self.path)(input_values)[0]
        return features


class BatchFeatures(Features):
    """The same for a padded batch, each utterance as if alone."""

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """(batch, samples), real samples (batch,) -> (batch, frames, channels), real frames (batch,)."""
        features, lengths = self.model.get_submodule(self.path)(input_values, input_lengths)
        return features, lengths


class WindowFeatures(Features):
    """The same for parts of a recording, of one length, whose first layer normalises over the whole recording."""

    def forward(self, input_values: Tensor, patch_mean: Tensor, patch_spread: Tensor) -> Tensor:  # type: ignore[override]
        """(batch, samples), mean (taps,), spread (axes, taps) of the whole's patches -> (batch, frames, channels)."""
        patches = Patches(patch_mean, patch_spread)
        features: Tensor = self.model.get_submodule(self.path)(input_values, None, patches)[0]
        return features


@dataclass(frozen=True)
class Parts:
    """What the graphs of one model are joined of.

    Attributes:
        model: that of all graphs.
        encoder: the encoder in it.
        behind: makes outputs of features, and of lengths where there are some.
        outputs: of all graphs.
        fixed: see `GraphSource`.
        layers: see `GraphSource`.
    """

    model: nn.Module
    encoder: SpeechModel
    behind: nn.Module
    outputs: tuple[TensorSpec, ...]
    fixed: Mapping[str, int]
    layers: nn.ModuleList | None

    def of(self, graphs: Mapping[str, tuple[TensorSpec, ...]]) -> dict[str, tuple[GraphSource, ...]]:
        """Return the parts of each graph, of which some are shared, from the graphs' inputs."""
        fixed = {**self.fixed, FEATURES.axes[-1]: self.encoder.config.conv_dim[-1]}
        given = ((FEATURES,), (FEATURES, FEATURE_LENGTHS))
        batch = GraphSource("", self.behind, given[True], self.outputs, fixed, layers=self.layers)
        alone = replace(batch, inputs=given[False], masked=batch, kept={})
        parts: dict[str, tuple[GraphSource, ...]] = {}
        for name, inputs in graphs.items():
            has_lengths = LENGTHS in inputs
            kind = BatchFeatures if has_lengths else Features if len(inputs) == 1 else WindowFeatures
            features = GraphSource("features", kind(self.model, self.encoder), inputs, given[has_lengths], fixed)
            parts[name] = (features, batch if has_lengths else alone)
        return parts
