"""One graph of several, each of which reads what those before it give."""

from collections.abc import Collection, Iterable, Mapping

import onnx


def joined(parts: Mapping[str, onnx.ModelProto], outputs: Collection[str]) -> onnx.ModelProto:
    """Join graphs in their order: an input of one is what an earlier one gives under its name, or the whole's.

    Args:
        parts: graphs by a name that is put before the names of what is inside of them; nothing is, for the name "".
        outputs: which outputs the whole has, in order.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(next(iter(parts.values())))
    for field in ("node", "input", "output", "initializer", "value_info"):
        whole.graph.ClearField(field)
    inputs: dict[str, onnx.ValueInfoProto] = {}
    given: dict[str, onnx.ValueInfoProto] = {}
    for name, part in parts.items():
        graph = _prefixed(part.graph, name)
        inputs |= {port.name: port for port in graph.input if port.name not in (inputs.keys() | given.keys())}
        given |= {port.name: port for port in graph.output}
        whole.graph.node.extend(graph.node)
        whole.graph.initializer.extend(graph.initializer)
    whole.graph.input.extend(inputs.values())
    whole.graph.output.extend(given[name] for name in outputs)
    return whole


def _prefixed(graph: onnx.GraphProto, prefix: str) -> onnx.GraphProto:
    """A copy in which all that is neither input nor output has a prefix to its name."""
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)
    ports = {port.name for port in (*graph.input, *graph.output)}

    def named(names: Iterable[str]) -> list[str]:
        return [f"{prefix}.{name}" if prefix and name and name not in ports else name for name in names]

    for node in copy.node:
        node.input[:], node.output[:], (node.name,) = named(node.input), named(node.output), named([node.name])
    for tensor in copy.initializer:
        (tensor.name,) = named([tensor.name])
    return copy
