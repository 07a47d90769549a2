"""What a graph to be exported is. Which graphs a model has is said in `ctc_graphs` and `encoder_decoder_graphs`."""

from collections.abc import Mapping
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
    """

    name: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    fixed: Mapping[str, int] = field(default_factory=dict)
    model: onnx.ModelProto | None = None
