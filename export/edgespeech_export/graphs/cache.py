"""The graph "cache" of an encoder-decoder: it moves columns, and has no weights and nothing of the model.

It is written by hand, because there is no module to trace. What it is for:
`edgespeech_runtime.generation.cache.device_slots`.
"""

import onnx
from edgespeech_runtime.bundle.contracts import COLUMNS, Decoder, Tensor, contract
from onnx import TensorProto, helper
from torch import nn

from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers.tracing import OPSET

IR_VERSION = 10  # as torch.onnx writes it; the newest of the package onnx may be too new for a runtime
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


def cache_graph(facts: Decoder) -> GraphSource:
    """Return the graph of the contract: for each key and value, chosen columns of the old and the new."""
    inputs, outputs = contract("encoder-decoder", facts)["cache"]
    fixed = {"heads": facts.heads, "head_dim": facts.head_dim}
    past, new = inputs[1 : len(outputs) + 1], inputs[len(outputs) + 1 :]
    nodes = []
    for old, fresh, kept in zip(past, new, outputs, strict=True):
        axis, both = old.axes.index("slots"), f"both.{kept.name}"
        nodes.append(helper.make_node("Concat", [old.name, fresh.name], [both], both, axis=axis))
        nodes.append(helper.make_node("Gather", [both, COLUMNS.name], [kept.name], kept.name, axis=axis))
    graph = helper.make_graph(
        nodes, "cache", [_info(spec, fixed) for spec in inputs], [_info(spec, fixed) for spec in outputs]
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="edgespeech")
    onnx.checker.check_model(model, full_check=True)
    return GraphSource("cache", nn.Identity(), inputs, outputs, fixed, model)


def _info(spec: Tensor, fixed: dict[str, int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(spec.name, TYPES[spec.dtype], [fixed.get(axis, axis) for axis in spec.axes])
