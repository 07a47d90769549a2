"""What of a network can be quantized."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["convolution", "positional", "linear", "attention", "table"]
Stage = Literal["features", "transformer", "head"]

PREFIX, SUFFIX = "model.", ".weight"
FEATURES = "feature_extractor"
TRANSFORMER = frozenset({"feature_projection", "pos_conv_embed", "layers", "adapter"})
DECODER = "decoder"


@dataclass(frozen=True)
class Layer:
    """A product that can be computed in integers, or whose weights can be stored as such.

    Attributes:
        name: where its weight is in the reference model, `encoder.layers.3.attention.q_proj`; the products of two
            activations in an attention are its `scores` and its `mix`.
        kind: "positional" is the grouped convolution in place of position embeddings, "attention" a product of two
            activations, "table" one whose rows are looked up.
        stage: "features" are the convolutions that turn the waveform into frames.
        macs: multiply-accumulates on the probe utterance; where weights alone are quantized, on one frame or token,
            which is the number of the weights.
    """

    name: str
    kind: Kind
    stage: Stage
    macs: int


def layer_name(weight: str) -> str:
    """Return the layer's name for that of its weight in a graph: `model.a.b.weight` is `a.b`."""
    return weight.removeprefix(PREFIX).removesuffix(SUFFIX)


def stage(name: str) -> Stage:
    """Return which part of the network a layer belongs to, by its name; decoders are part of the head."""
    path = name.split(".")
    if FEATURES in path:
        return "features"
    return "transformer" if DECODER not in path and TRANSFORMER.intersection(path) else "head"
