"""A traced graph: nodes here, the values of its weights beside it, which are views of the model's own memory.

So a graph of a model of gigabytes is small: it is copied, checked and simplified at once, and each weight is read when
it is written to its file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

Values: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class TracedGraph:
    """A graph whose initializers may lack their values.

    Attributes:
        model: the graph; initializers in `weights` have a type and a shape, and no values.
        weights: those values, by the names of the initializers.
    """

    model: onnx.ModelProto
    weights: Mapping[str, Values]

    @classmethod
    def of(cls, graph: "onnx.ModelProto | TracedGraph") -> "TracedGraph":
        """Return a graph as it is, or one that has all values in it."""
        return graph if isinstance(graph, TracedGraph) else cls(graph, {})

    def values(self, tensor: TensorProto) -> Values:
        """Return the values of one of the graph's initializers."""
        known = self.weights.get(tensor.name)
        return np.asarray(numpy_helper.to_array(tensor)) if known is None else known

    def whole(self) -> onnx.ModelProto:
        """Return a copy of the graph with all values in it."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name in self.weights:
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(self.weights[tensor.name]), tensor.name))
        return model


def without_values(name: str, values: Values) -> TensorProto:
    """Return an initializer that has the type and shape of `values` alone, for a `TracedGraph`."""
    tensor = TensorProto(name=name, data_type=onnx.helper.np_dtype_to_tensor_dtype(values.dtype), dims=values.shape)
    tensor.data_location = TensorProto.EXTERNAL
    return tensor
