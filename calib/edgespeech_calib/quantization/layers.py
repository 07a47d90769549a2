"""What of a network can be quantized."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["convolution", "positional", "linear", "attention"]
Stage = Literal["features", "transformer", "head"]

PREFIX, SUFFIX = "model.", ".weight"


@dataclass(frozen=True)
class Layer:
    """A product that can be computed in integers.

    Attributes:
        name: where its weight is in the reference model, `encoder.layers.3.attention.q_proj`; the products of two
            activations in an attention are its `scores` and its `mix`.
        kind: "positional" is the grouped convolution in place of position embeddings, "attention" a product of two
            activations.
        stage: "features" are the convolutions that turn the waveform into frames.
        macs: multiply-accumulates on the probe utterance.
    """

    name: str
    kind: Kind
    stage: Stage
    macs: int


def layer_name(weight: str) -> str:
    """Return the layer's name for that of its weight in a graph: `model.a.b.weight` is `a.b`."""
    return weight.removeprefix(PREFIX).removesuffix(SUFFIX)
