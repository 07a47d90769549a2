"""Encoders without a head: waveforms to hidden states, which others read as features."""

from typing import overload

import numpy as np

from ..audio import AudioInput, is_single
from ..bundle.folder import Bundle
from ..choices import BATCH_SIZE
from ..engines import Engine
from ..errors import ArgumentError, BundleError
from .batches import Output
from .head import HeadModel
from .model import AudioList


class FeatureModel(HeadModel):
    """A loaded bundle that gives hidden states; what `audio` may be and how batches run: see `Model`.

    Attributes:
        dimensions: numbers of a frame in one hidden state.
        layers: which hidden states the bundle gives: 0 is what goes into the first layer of the transformer, N what
            comes out of the N-th; None for the encoder's last hidden state, after all that stands behind the layers.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        features = bundle.manifest.features
        if features is None:
            raise BundleError("edgespeech.json: features: a model that gives hidden states must have it")
        self.dimensions, self.layers = features.dimensions, features.layers
        super().__init__(bundle, engine, features.size)

    decision = "none"

    def _answer(self, output: Output) -> None:
        return None

    @overload
    def features(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self,
        audio: AudioInput,
        *,
        layer: int | None = ...,
        sampling_rate: float | None = ...,
        batch_size: int = ...,
    ) -> Output: ...
    @overload
    def features(
        self,
        audio: AudioList,
        *,
        layer: int | None = ...,
        sampling_rate: float | None = ...,
        batch_size: int = ...,
    ) -> list[Output]: ...
    def features(
        self,
        audio: AudioInput | AudioList,
        *,
        layer: int | None = None,
        sampling_rate: float | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Output | list[Output]:
        """Hidden states, float32 `[frames, dimensions]`: one array, or a list in the order of the inputs.

        Of a bundle with several hidden states they are `[layers, frames, dimensions]`, in the order of `layers`;
        `layer` picks one of them by its number. An utterance's features do not change with what it runs together with.
        Recordings of more than 40 s run in windows.
        Raises AudioError, which names the item of a list, and ArgumentError for a layer that the bundle does not have.
        """
        chosen = self._chosen(layer)
        arrays = [self._arranged(output)[chosen] for output in self._outputs(audio, sampling_rate, batch_size)]
        return arrays[0] if is_single(audio) else arrays

    def _chosen(self, layer: int | None) -> int | slice:
        """What stands where along the axis of layers."""
        if layer is None:
            return slice(None) if self.layers is not None and len(self.layers) > 1 else 0
        exported = self.layers or ()
        if isinstance(layer, bool) or layer not in exported:
            has = f"the layers {', '.join(map(str, exported))}" if exported else "the last hidden state alone"
            raise ArgumentError(f"layer: this bundle has {has}, got {layer!r}; export it again with others")
        return exported.index(layer)

    def _arranged(self, output: Output) -> Output:
        """`[frames, layers * dimensions]` -> `[layers, frames, dimensions]`."""
        return np.ascontiguousarray(output.reshape(len(output), -1, self.dimensions).transpose(1, 0, 2))
