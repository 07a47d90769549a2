"""ONNX bundles: thin `.onnx` files over one file of weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgespeech_runtime.choices import FloatPrecision

from edgespeech_export.writers import hub_graph, tracing
from edgespeech_export.writers.weight_store import WEIGHTS_FILE, WeightStore, store_as
from edgespeech_export.writers.written import Note, Written, entry

if TYPE_CHECKING:
    from edgespeech_export.sources.source import Source

FILES = {"interchange": "model.onnx"}  # the others are called after their graphs


def write(source: "Source", folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write the runtime's graphs, and the one for other runtimes."""
    graphs = source.graphs("onnx")
    opens_elsewhere = any(graph.name == "single" for graph in graphs)
    weights = hub_graph.weights_of(hub_graph.FLOAT_FILE) if opens_elsewhere else WEIGHTS_FILE
    store = WeightStore(folder / weights)
    written = {}
    for graph in graphs:
        note(f"ONNX graph {graph.name}")
        traced = store_as(tracing.trace(graph, source.samples), precision)
        file = FILES.get(graph.name, f"{graph.name}.onnx")
        store.save(traced, folder / file)
        written[graph.name] = entry(graph, file, weights, traced.model)
    if opens_elsewhere:
        single = written["single"]
        model, facts = hub_graph.graph_of(single.model, single.graph, hub_graph.FLOAT_FILE, source.classifier)
        store.save(model, folder / facts.file)
        written[hub_graph.GRAPH] = Written(facts, model)
        hub_graph.describe(folder, facts.file)
    return written
