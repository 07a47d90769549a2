"""Writing a model's graphs in an engine's files. Each engine is one function; the table at the end names them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
from edgespeech_runtime.bundle.manifest import EngineName, FloatPrecision, Graph

from edgespeech_export.graphs import interchange
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.sources.source import Source
from edgespeech_export.writers.numpy import Archive, to_program
from edgespeech_export.writers.onnx import to_onnx
from edgespeech_export.writers.openvino import share_weights, to_openvino
from edgespeech_export.writers.weight_store import WeightStore, store_as

Note = Callable[[str], None]
WEIGHTS_FILE = "weights.data"
ARCHIVE_FILE = "weights.npz"
ONNX_FILES = {"interchange": "model.onnx"}  # the others are called after their graphs
OPENVINO_FILES = {"single": "openvino_model.xml", "batch": "openvino_batch.xml"}


@dataclass(frozen=True)
class Written:
    """A graph's entry in the manifest, and the ONNX form that it was written from, without weights."""

    graph: Graph
    model: onnx.ModelProto


def write_onnx(source: Source, folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write thin `.onnx` files over one file of weights: the runtime's graphs, and the one for other runtimes."""
    store = WeightStore(folder / WEIGHTS_FILE)
    written = {}
    for graph in source.graphs("onnx"):
        note(f"ONNX graph {graph.name}")
        model = to_onnx(graph, source.samples)
        if graph.name == "interchange":
            interchange.make_lengths_optional(model)
        store_as(model, precision)
        file = ONNX_FILES.get(graph.name, f"{graph.name}.onnx")
        store.save(model, folder / file)
        written[graph.name] = _entry(graph, file, WEIGHTS_FILE, model)
    return written


def write_openvino(source: Source, folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write IRs over one `.bin`, each converted from the ONNX form of its graph.

    The conv stack has its channels last here: OpenVINO runs it faster so, ONNX Runtime does not (docs/architecture.md).
    """
    written, graphs = {}, []
    for graph in source.graphs("openvino"):
        note(f"ONNX graph {graph.name}")
        model = to_onnx(graph, source.samples)
        note(f"OpenVINO graph {graph.name}")
        xml = folder / OPENVINO_FILES.get(graph.name, f"{graph.name}.xml")
        store = WeightStore(folder / f"{graph.name}.data")
        store.save(model, folder / f"{graph.name}.onnx")
        to_openvino(folder / f"{graph.name}.onnx", xml, precision)
        for scratch in (store.path, folder / f"{graph.name}.onnx"):
            scratch.unlink()
        graphs.append(xml)
        written[graph.name] = _entry(graph, xml.name, graphs[0].with_suffix(".bin").name, model)
    share_weights(graphs)
    return written


def write_numpy(source: Source, folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write programs over one archive of weights, from the same graphs as ONNX: an oracle computes the plain thing.

    With channels last in the graph it is slower here, because the operator for convolutions has them last already.
    """
    written = {}
    with Archive(folder / ARCHIVE_FILE) as archive:
        for graph in source.graphs("numpy"):
            note(f"ONNX graph {graph.name}")
            model = to_onnx(graph, source.samples)
            file = f"{graph.name}.json"
            (folder / file).write_text(to_program(model, graph, archive, precision), encoding="utf-8")
            written[graph.name] = _entry(graph, file, ARCHIVE_FILE, model)
    return written


def _entry(graph: GraphSource, file: str, weights: str, model: onnx.ModelProto) -> Written:
    return Written(Graph(file, weights, graph.inputs, graph.outputs), model)


WRITERS: dict[EngineName, Callable[[Source, Path, FloatPrecision, Note], dict[str, Written]]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "numpy": write_numpy,
}
