"""Where a family's checkpoints keep the components of the text decoder.

One decoder serves all families; what it is made of is registered under the names in these tables, so that parameters
are called as in the published checkpoints. Paths are relative: of layers to the decoder, of parts to their layer, of
projections to their attention.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from torch import nn


@dataclass(frozen=True)
class AttentionNames:
    """One attention of a layer.

    `projections` gives each projection's path and what it computes: "q", "k" and "v" apart, or fused in this order.
    """

    module: str
    projections: tuple[tuple[str, str], ...]
    out: str
    norm: str  # of the layer, not of the attention


@dataclass(frozen=True, kw_only=True)
class LayerNames:
    """The parts of one layer."""

    attention: AttentionNames
    cross: AttentionNames
    feed_in: str
    activation: str
    feed_out: str
    feed_norm: str


@dataclass(frozen=True, kw_only=True)
class DecoderNames:
    """The components of a decoder; None for those that the family does not have."""

    tokens: str
    positions: str
    layers: str
    layer: LayerNames
    head: str
    types: str | None = None
    embedding_norm: str | None = None
    final_norm: str | None = None
    transform: str | None = None  # of the head: a linear layer, activation and norm before it
    transform_activation: str | None = None
    transform_norm: str | None = None
    head_bias: str | None = None


def place(root: nn.Module, path: str, item: nn.Module | nn.Parameter) -> None:
    """Register a module or parameter under a dotted path; containers on the way are made where needed."""
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in root._modules:
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    if isinstance(item, nn.Parameter):
        root.register_parameter(name, item)
    else:
        root.add_module(name, item)


def part(root: nn.Module, path: str) -> Any:
    """Return what `place` registered under a dotted path."""
    return attrgetter(path)(root)
