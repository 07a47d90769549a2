"""Layers that are alike are traced twice, not forty-eight times: the graph of the second is repeated for the others.

`shortened` gives the module with two layers, `repeated` the graph of all of them. What makes this right is checked, not
assumed: all layers behind the first have the same modules, settings and shapes, and in the traced graph what the second
layer makes of the first one's output is node for node what the first makes of its input, with each weight replaced by
the one of the same name. What does not pass is traced whole.
"""

import copy
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import onnx
from torch import Tensor, nn

TRACED = 2  # layers
OWN = vars(nn.Module()).keys()  # attributes of every module


def shortened(module: nn.Module, layers: nn.ModuleList) -> nn.Module | None:
    """Return a copy of a module with the first two of its `layers`, over the same tensors; None where they differ."""
    if len(layers) <= TRACED or not all(_alike(layers[1], layer) for layer in layers[2:]):
        return None
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    memo[id(layers)] = layers[:TRACED]
    return copy.deepcopy(module, memo)


def _alike(one: Any, other: Any) -> bool:
    """Whether two modules compute the same of the same inputs, but for the values of their weights."""
    if type(one) is not type(other) or vars(one).keys() != vars(other).keys():
        return False
    settings = vars(one).keys() - OWN
    if not all(_equal(getattr(one, name), getattr(other, name)) for name in settings):
        return False
    if _shapes(one) != _shapes(other):
        return False
    parts, others = dict(one.named_children()), dict(other.named_children())
    return parts.keys() == others.keys() and all(_alike(part, others[name]) for name, part in parts.items())


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    return type(one) is type(other) and not isinstance(one, Tensor) and bool(one == other)


def _shapes(module: nn.Module) -> dict[str, Any]:
    tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors}


@dataclass
class Names:
    """Names of weights, inputs and outputs that belong to one layer, "decoder.layers.0.fc1.bias" or "cache.0.key".

    Attributes:
        prefixes: what stands before the number of the layer.
    """

    prefixes: Collection[str]
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pattern = re.compile(f"({'|'.join(map(re.escape, self.prefixes))})\\.(\\d+)\\.(.+)")

    def layer(self, name: str) -> int | None:
        """Return the number of the layer that a name belongs to, None for none."""
        found = self.pattern.fullmatch(name)
        return int(found[2]) if found else None

    def of(self, name: str, layer: int) -> str:
        """Return the name of the same thing in another layer."""
        return self.pattern.sub(rf"\g<1>.{layer}.\g<3>", name)


def repeated(model: onnx.ModelProto, names: Names, count: int) -> onnx.ModelProto | None:
    """Return the graph of `count` layers from one of two; None where the second does not repeat the first."""
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    aside = [each.name for each in graph.output if names.layer(each.name) == 0]
    # What is only asked for its size, as any layer's cache may be, belongs to no layer.
    nodes = [node for node in graph.node if node.op_type != "Shape"]
    owned = [node for node in nodes if any(names.layer(name) == 1 for name in (*node.input, *node.output))]
    for first, second in _ends(nodes, owned, names):
        pairing = Pairing(producers, names, first)
        roots = [(first, second), *((name, names.of(name, 1)) for name in aside)]
        if all(pairing.equal(*pair) for pair in roots):
            layer = [node for node in graph.node if id(node) in pairing.nodes]
            if all(id(node) in pairing.nodes for node in owned) and _is_closed(graph, layer, second, names):
                return _spliced(model, layer, (first, second), names, count)
    return None


def _ends(nodes: list[onnx.NodeProto], owned: list[onnx.NodeProto], names: Names) -> Iterable[tuple[str, str]]:
    """Pairs of values that may be what the first and the second layer give: of nodes of one type, the likely first."""
    before: list[onnx.NodeProto] = []
    inside: list[onnx.NodeProto] = []
    reached = {name for node in owned for name in node.input if names.layer(name) == 1}
    for node in nodes:
        is_inside = any(name in reached for name in node.input)
        reached |= set(node.output) if is_inside else set()
        (inside if is_inside else before).append(node)
    for first in reversed(before):
        for second in inside:
            if first.op_type == second.op_type:
                yield first.output[0], second.output[0]


@dataclass
class Pairing:
    """Compares what two values are computed of, back to `first`, which is what the second layer is given.

    Attributes:
        nodes: ids of the nodes of the second layer that were compared.
    """

    producers: dict[str, onnx.NodeProto]
    names: Names
    first: str
    nodes: set[int] = field(default_factory=set)
    pairs: dict[str, str] = field(default_factory=dict)  # by values of the second layer: those of the first

    def equal(self, one: str, other: str) -> bool:
        """Whether the second layer computes `other` as the first computes `one`."""
        if other in self.pairs:
            return self.pairs[other] == one
        if other == self.first:
            self.pairs[other] = one  # the input of the first layer, the same at each meeting
            return True
        if one == other:  # what all layers share
            return self.names.layer(one) is None
        if self.names.layer(one) == 0 and one not in self.producers:
            return self.names.of(one, 1) == other
        nodes = self.producers.get(one), self.producers.get(other)
        if nodes[0] is None or nodes[1] is None or not _same(nodes[0], nodes[1]):
            return False
        self.pairs |= dict(zip(nodes[1].output, nodes[0].output, strict=True))
        self.nodes.add(id(nodes[1]))
        return all(self.equal(*pair) for pair in zip(nodes[0].input, nodes[1].input, strict=True))


def _same(one: onnx.NodeProto, other: onnx.NodeProto) -> bool:
    """Whether two nodes do the same."""
    return (
        (one.op_type, one.domain, len(one.input), len(one.output))
        == (other.op_type, other.domain, len(other.input), len(other.output))
        and sorted(each.SerializeToString(deterministic=True) for each in one.attribute)
        == sorted(each.SerializeToString(deterministic=True) for each in other.attribute)
    )  # fmt: skip


def _is_closed(graph: onnx.GraphProto, layer: list[onnx.NodeProto], end: str, names: Names) -> bool:
    """Whether nothing but the end of a layer, and the outputs of its own, is read outside it."""
    within, inner = {id(node) for node in layer}, {output for node in layer for output in node.output} - {end}
    shown = {each.name for each in graph.output if names.layer(each.name) is None}
    return not inner & shown and not any(
        name in inner for node in graph.node if id(node) not in within for name in node.input
    )


def _spliced(
    model: onnx.ModelProto, layer: list[onnx.NodeProto], ends: tuple[str, str], names: Names, count: int
) -> onnx.ModelProto:
    """Put copies of the second layer in its stead, one behind the other. `ends` are what both layers give."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    within, reached = {id(node) for node in layer}, {ends[1]}
    before: list[onnx.NodeProto] = []
    behind: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if id(node) in within:
            continue
        is_behind = any(name in reached for name in node.input)
        reached |= set(node.output) if is_behind else set()
        (behind if is_behind else before).append(node)
    copies = [node for index in range(1, count) for node in _copied(layer, ends, names, index, count)]
    del whole.graph.node[:]
    whole.graph.node.extend([*before, *copies, *behind])
    for ports in (whole.graph.input, whole.graph.output):
        for port in [each for each in ports if names.layer(each.name) == 1]:
            for index in range(TRACED, count):
                ports.add().CopyFrom(port)
                ports[-1].name = names.of(port.name, index)
    return whole


def _copied(
    layer: list[onnx.NodeProto], ends: tuple[str, str], names: Names, index: int, count: int
) -> Iterable[onnx.NodeProto]:
    """Copies of the second layer's nodes, as those of layer `index`; what the last one gives keeps its name."""
    inner = {output for node in layer for output in node.output}

    def end(of: int) -> str:
        return ends[of] if of == 0 else ends[1] if of == count - 1 else f"{ends[1]}.{of}"

    def renamed(name: str) -> str:
        if name in ends:
            return end(index if name == ends[1] else index - 1)
        if names.layer(name) == 1:
            return names.of(name, index)
        return f"{name}.{index}" if name in inner and index > 1 else name

    for node in layer:
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.name = f"{node.name}.{index}" if index > 1 else node.name
        copied.input[:], copied.output[:] = map(renamed, node.input), map(renamed, node.output)
        yield copied
