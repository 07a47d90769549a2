"""What a graph computes of weights alone is computed once, here, and the graph gets the result in place of it.

Most of it is transposing, which numpy does without copying. Weights keep the names of their parameters in this, so that
whoever reads a graph, quantizes it or reports on it knows which layer a product belongs to.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from edgespeech_export.writers.traced_graph import TracedGraph, Values, without_values

TRANSPOSED = "_transposed"  # behind the name of a weight that the graph holds both ways
INLINE = 1024  # bytes, below which values stand in the graph itself


def fold(model: onnx.ModelProto, values: Mapping[str, Values]) -> TracedGraph:
    """Turn the inputs of a graph that are in `values` into weights, with all that follows from them alone.

    Args:
        model: a graph whose weights are inputs; it is changed.
        values: each of them, by all the names that it has.
    """
    graph = model.graph
    known = {name: values[name] for name in (each.name for each in graph.input) if name in values}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    sources: dict[str, str] = {}  # of matrices that were transposed: the weight
    for node in graph.node:
        given = {name: known.get(name, constants.get(name)) for name in node.input if name}
        if known.keys().isdisjoint(given) or any(value is None for value in given.values()):
            nodes.append(node)
            continue
        results: Any = ReferenceEvaluator(node).run(None, given)
        known.update((name, np.asarray(result)) for name, result in zip(node.output, results, strict=True))
        if node.op_type == "Transpose" and results[0].ndim == 2:
            sources[node.output[0]] = node.input[0]
    read = {name for node in nodes for name in node.input} | {each.name for each in graph.output}
    used = {name: array for name, array in known.items() if name in read}
    renamed = _names(sources, used, values)
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
    del graph.node[:]
    graph.node.extend(nodes)
    unread = [tensor for tensor in graph.initializer if tensor.name not in read]
    for tensor in unread:
        graph.initializer.remove(tensor)
    inputs = [each for each in graph.input if each.name not in values]
    del graph.input[:]
    graph.input.extend(inputs)
    weights = {renamed.get(name, name): array for name, array in used.items()}
    large = {name: array for name, array in weights.items() if array.nbytes >= INLINE}
    for name, array in weights.items():
        graph.initializer.append(without_values(name, array) if name in large else numpy_helper.from_array(array, name))
    return TracedGraph(model, large)


def _names(sources: Mapping[str, str], used: Mapping[str, Values], values: Mapping[str, Values]) -> dict[str, str]:
    """New names of transposed matrices: the weight's own, or that of one that it is tied to, if it is free."""
    tied = defaultdict(list)
    for name, array in values.items():
        tied[array.__array_interface__["data"][0], array.shape].append(name)
    groups = {name: names for names in tied.values() for name in names}
    taken, renamed = set(used), {}
    for result, weight in sources.items():
        if result in used:
            names = groups.get(weight, [weight])
            free = [name for name in (*names, *(name + TRANSPOSED for name in names)) if name not in taken]
            if free:
                renamed[result] = free[0]
                taken.add(free[0])
    return renamed
