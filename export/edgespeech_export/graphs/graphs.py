"""What a graph to be exported is. Which graphs a model has is said in `ctc_graphs` and `encoder_decoder_graphs`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import onnx
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from torch import nn


@dataclass(frozen=True)
class GraphSource:
    """A graph to be: its name in the manifest, the module, its inputs and outputs.

    Attributes:
        fixed: sizes of the axes that are the same for every input; all others stay free.
        model: the graph itself, where there is no module to trace.
        layers: of the module, of which nothing is read but what the last one gives: those that are alike need not be
            traced each.
        edit: changes the graph that was traced, before it is checked.
        parts: graphs of which it is joined, each reading what those before it give, and which may be parts of others
            too; the module, which does the same or lists theirs, is not traced then.
        masked: the same with one input more, of lengths: this is derived from it where that can be done.
        kept: the graph of the module once it is traced, for copies of this that are parts of others.
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    fixed: Mapping[str, int] = field(default_factory=dict)
    model: onnx.ModelProto | None = None
    layers: nn.ModuleList | None = None
    edit: Callable[[onnx.ModelProto], None] = lambda model: None
    parts: "tuple[GraphSource, ...]" = ()
    masked: "GraphSource | None" = None
    kept: dict[str, onnx.ModelProto] = field(default_factory=dict, repr=False, compare=False)
