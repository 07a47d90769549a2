"""Writing an ONNX graph over another: new nodes among those that stay, new constants beside the old ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgespeech_calib.quantization.onnx.network import Array, Network

PREFIX = "int8_"  # of the names of new nodes and values


class GraphWriter:
    """Collects the nodes and constants of a graph; a constant is held once under its name.

    Args:
        prefix: of the names of nodes and values that are made up here.
    """

    def __init__(self, prefix: str = PREFIX) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def keep(self, node: onnx.NodeProto) -> None:
        """Append a node as it is."""
        self.nodes.append(node)

    def add(self, op: str, inputs: Sequence[str], output: str = "", name: str = "", **settings: Any) -> str:
        """Append a node and return the name of its output, which is made up where none is given."""
        output = output or f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], name or f"node_{output}", **settings))
        return output

    def copy(self, node: onnx.NodeProto, inputs: Sequence[str], output: str) -> str:
        """Append a node like another, with other inputs, and return the name of its output."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        del copied.input[:], copied.output[:]
        copied.input.extend(inputs)
        copied.output.append(output)
        copied.name = f"node_{output}"
        self.nodes.append(copied)
        return output

    def constant(self, values: Array, name: str) -> str:
        """Hold an array under a name and return the name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
        return name

    def scalar(self, value: Array) -> str:
        """Hold a scalar under a name that says its type and value."""
        return self.constant(value, f"{PREFIX}{value.dtype}_{value.item()!r}")

    def integer(self, value: int) -> str:
        """Hold an int64."""
        return self.scalar(np.array(value, np.int64))

    def integers(self, *values: int) -> str:
        """Hold a list of int64."""
        return self.constant(np.array(values, np.int64), f"{PREFIX}list_{'_'.join(map(str, values))}")

    def model(self, network: Network, outputs: Sequence[str] | None = None) -> onnx.ModelProto:
        """Return the graph, with the inputs of the network's and those of its weights that are in use.

        `outputs` take the place of the network's. Weights that lie in a file stay there.
        """
        model = onnx.ModelProto()
        model.CopyFrom(network.model)
        graph = model.graph
        if outputs is not None:
            del graph.output[:]
            graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        nodes = _needed(self.nodes, {value.name for value in graph.output})
        used = {name for node in nodes for name in reads(node)} | {value.name for value in graph.input}
        kept = [tensor for name, tensor in network.initializers.items() if name in used and name not in self.constants]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.initializer.extend([*kept, *(tensor for name, tensor in self.constants.items() if name in used)])
        return model


def _needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """The nodes that the wanted values depend on, in their order."""
    wanted, kept = set(wanted), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted.update(reads(node))
            kept.append(node)
    return kept[::-1]


def reads(node: onnx.NodeProto) -> set[str]:
    """Names of what a node takes in, and of what the graphs in it take from the graph around."""
    names = set(node.input)
    for entry in node.attribute:
        if entry.type == onnx.AttributeProto.GRAPH:
            inner = {value.name for value in entry.g.input} | {name for part in entry.g.node for name in part.output}
            names.update(name for part in entry.g.node for name in reads(part) if name not in inner)
    return names
