"""A float ONNX graph as the quantizer sees it: which products it holds, and where their factors come from.

It changes nothing; `onnx_forms` writes the quantized forms. Weights stay on disk until they are asked for.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from edgespeech_calib.quantization.search.layers import SUFFIX, Kind, Stage, layer_name, stage

Array: TypeAlias = npt.NDArray[Any]

TRANSPOSED = "_transposed"  # how the exporter calls a weight that a graph holds both ways


@dataclass(frozen=True)
class Product:
    """A layer where it stands in one graph.

    Attributes:
        name: of the layer.
        node: its MatMul, Gemm or Conv.
        source: the activation that goes in, by its name in the graph.
        output: what it gives.
        weight: the initializer that it is multiplied with.
    """

    name: str
    kind: Kind
    node: onnx.NodeProto
    source: str
    output: str
    weight: str

    @property
    def stage(self) -> Stage:
        """Which part of the network it belongs to."""
        return stage(self.name)

    @property
    def out_axis(self) -> int:
        """Axis of the weight along which its output channels lie: (in, out), (out, in) or (out, in, kernel)."""
        return 1 if self.kind == "linear" and not self.is_transposed else 0

    @property
    def is_transposed(self) -> bool:
        """Whether it is a linear layer whose weight is (out, in)."""
        return self.node.op_type == "Gemm" and bool(attributes(self.node).get("transB", 0))

    @property
    def bias(self) -> str | None:
        """What the node itself adds."""
        return self.node.input[2] if len(self.node.input) > 2 and self.node.input[2] else None


class Network:
    """A graph, who gives and takes what, and its weights.

    Args:
        model: the float graph; it is not changed.
        folder: where the weights lie that are not in it.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self.nodes = tuple(model.graph.node)
        self.producers = {name: node for node in self.nodes for name in node.output}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.consumers[name].append(node)
        self.initializers = {tensor.name: tensor for tensor in model.graph.initializer}

    @classmethod
    def read(cls, file: Path) -> "Network":
        """Read a graph without its weights."""
        return cls(onnx.load(file, load_external_data=False), file.parent)

    def tensor(self, name: str) -> onnx.TensorProto:
        """An initializer with its values."""
        tensor = self.initializers[name]
        if not uses_external_data(tensor):
            return tensor
        loaded = onnx.TensorProto()
        loaded.CopyFrom(tensor)
        load_external_data_for_tensor(loaded, str(self.folder))
        loaded.data_location = onnx.TensorProto.DEFAULT
        del loaded.external_data[:]
        return loaded

    def constant(self, name: str) -> Array:
        """Values of an initializer."""
        return numpy_helper.to_array(self.tensor(name))

    def matrix(self, product: Product) -> Array:
        """The weight of a layer as a product of matrices takes it: (in, out), of a convolution (taps * in, out)."""
        values = self.constant(product.weight)
        if product.kind == "linear":
            return values.T if product.is_transposed else values
        return values.transpose(2, 1, 0).reshape(-1, values.shape[0])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an initializer."""
        return tuple(self.initializers[name].dims)

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """All layers that can be computed in integers, in the order of the graph.

        The first convolution is none of them: over a single channel there is nothing that integers would speed up. Nor
        are the products in attention: weights spread over more frames than 8 bits have steps would all be rounded to
        0, the sooner the longer the audio, and calibration on other lengths does not see it.
        """
        return tuple(product for product in map(self._product, self.nodes) if product is not None)

    def _product(self, node: onnx.NodeProto) -> Product | None:
        if node.op_type not in ("MatMul", "Gemm", "Conv") or node.input[1] not in self.initializers:
            return None
        source, weight = node.input[:2]
        if not weight.removesuffix(TRANSPOSED).endswith(SUFFIX):  # worked out of weights, as the gates of attention
            return None
        shape = self.shape(weight)
        kind: Kind = "linear"
        settings = attributes(node)
        if node.op_type != "Conv":
            is_plain = not settings.get("transA", 0) and settings.get("alpha", 1) == settings.get("beta", 1) == 1
            if len(shape) != 2 or source in self.initializers or not is_plain:
                return None
        else:
            is_dilated = any(dilation != 1 for dilation in settings.get("dilations", ()))
            if len(shape) != 3 or shape[1] == 1 or is_dilated or settings.get("auto_pad", b"NOTSET") != b"NOTSET":
                return None
            kind = "convolution" if settings.get("group", 1) == 1 else "positional"
        return Product(layer_name(weight.removesuffix(TRANSPOSED)), kind, node, source, node.output[0], weight)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def channel_peaks(weight: Array, axis: int) -> npt.NDArray[np.float32]:
    """Return the largest magnitude of each channel along `axis`."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    peaks: npt.NDArray[np.float32] = np.abs(weight).max(axis=others).astype(np.float32)
    return peaks
