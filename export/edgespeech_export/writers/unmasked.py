"""The graph for utterances without padding, derived from the one for padded batches: masks that hide nothing go away.

Where all frames are real, a comparison with lengths is true everywhere. What follows of it is followed through the
graph: a factor of one and a term of zero are left out. A graph that does anything else with lengths is not derived.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import onnx

Known: TypeAlias = Literal["lengths", "one", "zero"]  # true is one, false is zero

SHAPES = ("Unsqueeze", "Reshape", "Expand", "Squeeze")  # operators that change nothing but a shape


def unmasked(model: onnx.ModelProto, lengths: str) -> onnx.ModelProto | None:
    """Return the graph without its input `lengths`, for utterances of one length; None where it cannot be derived."""
    known: dict[str, Known] = {lengths: "lengths"}
    same: dict[str, str] = {}  # by the name of a value that is another one, masked by nothing
    computed = {output for node in model.graph.node for output in node.output if node.op_type != "Constant"}
    nodes = []
    for node in model.graph.node:
        given = [same.get(name, name) for name in node.input]
        if known.keys().isdisjoint(given):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = given
            nodes.append(copy)
            continue
        value = _known(node, given, known)
        if value is not None:
            known[node.output[0]] = value
            continue
        rest = _unchanged(node, given, known)
        if rest is None or rest not in computed:
            return None
        same[node.output[0]] = rest
    shown = {output.name for output in model.graph.output}
    if shown & (known.keys() | same.keys()):
        return None
    return _without(model, _read(nodes, shown), lengths)


def _known(node: onnx.NodeProto, given: list[str], known: Mapping[str, Known]) -> Known | None:
    """What a node gives, where that follows from what is known; None where it does not."""
    first = known.get(given[0])
    if node.op_type in SHAPES and not any(name in known for name in given[1:]):
        return first
    if node.op_type == "Less" and first is None and known.get(given[1]) == "lengths":
        return "one"
    if node.op_type == "Cast" and first in ("one", "zero"):
        return first
    if node.op_type == "Not":
        return {"one": "zero", "zero": "one"}.get(str(first))  # type: ignore[return-value]
    return "zero" if node.op_type == "Mul" and "zero" in map(known.get, given) else None


def _unchanged(node: onnx.NodeProto, given: list[str], known: Mapping[str, Known]) -> str | None:
    """The one of two factors or terms that the other changes nothing of; None for other nodes."""
    neutral = {"Mul": "one", "Add": "zero"}.get(node.op_type)
    rest = [name for name in given if known.get(name) != neutral]
    return rest[0] if neutral is not None and len(given) == 2 and len(rest) == 1 and rest[0] not in known else None


def _read(nodes: list[onnx.NodeProto], shown: set[str]) -> list[onnx.NodeProto]:
    """Those nodes that outputs depend on."""
    needed, kept = set(shown), []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _without(model: onnx.ModelProto, nodes: list[onnx.NodeProto], lengths: str) -> onnx.ModelProto:
    """The graph of other nodes, with the initializers that they read, and without one input."""
    derived = onnx.ModelProto()
    derived.CopyFrom(model)
    graph, read = derived.graph, {name for node in nodes for name in node.input}
    for field in ("node", "initializer", "input", "value_info"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    graph.input.extend(port for port in model.graph.input if port.name != lengths)
    return derived
