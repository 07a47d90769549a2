"""ONNX bundles: thin `.onnx` files over one file of weights."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgespeech_runtime.choices import FloatPrecision

from edgespeech_export.graphs import interchange
from edgespeech_export.writers import tracing
from edgespeech_export.writers.weight_store import WEIGHTS_FILE, WeightStore, store_as
from edgespeech_export.writers.written import Note, Written, entry

if TYPE_CHECKING:
    from edgespeech_export.sources.source import Source

FILES = {"interchange": "model.onnx"}  # the others are called after their graphs


def write(source: "Source", folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write the runtime's graphs, and the one for other runtimes."""
    store = WeightStore(folder / WEIGHTS_FILE)
    written = {}
    for graph in source.graphs("onnx"):
        note(f"ONNX graph {graph.name}")
        model = tracing.to_onnx(graph, source.samples)
        if graph.name == "interchange":
            interchange.make_lengths_optional(model)
        store_as(model, precision)
        file = FILES.get(graph.name, f"{graph.name}.onnx")
        store.save(model, folder / file)
        written[graph.name] = entry(graph, file, WEIGHTS_FILE, model)
    return written
