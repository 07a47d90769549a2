"""OpenVINO IR from ONNX files, several graphs over one file of weights.

An IR is an `.xml` and a `.bin`; the `.xml` says at which offset of the `.bin` each constant lies. Graphs of one model
share their weights, so their constants are pointed at one common `.bin`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import onnx
from edgespeech_runtime.choices import FloatPrecision
from onnx import numpy_helper

from edgespeech_export.errors import ExportError
from edgespeech_export.writers import hub_graph, tracing
from edgespeech_export.writers.traced_graph import TracedGraph
from edgespeech_export.writers.weight_store import WeightStore, narrowed
from edgespeech_export.writers.written import Note, Written, entry

if TYPE_CHECKING:
    from edgespeech_export.sources.source import Source

ALIGNMENT = 64  # bytes
FILES = {"single": "openvino_model.xml", "batch": "openvino_batch.xml"}  # the others are called after their graphs


def write(source: "Source", folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write IRs over one `.bin`, each converted from the ONNX form of its graph."""
    written, weights = {}, SharedWeights()  # shared at once, so that no third copy ever lies on the disk
    for graph in source.graphs("openvino"):
        note(f"ONNX graph {graph.name}")
        traced = tracing.trace(graph, source.samples)
        note(f"OpenVINO graph {graph.name}")
        xml = folder / FILES.get(graph.name, f"{graph.name}.xml")
        if graph.name == "single" and source.classifier is not None:  # the name is where optimum-intel looks
            single = entry(graph, "", "", traced.model).graph
            wider, facts = hub_graph.graph_of(traced.model, single, xml.name, source.classifier)
            _write(TracedGraph(wider, traced.weights), xml, precision)
            written[hub_graph.GRAPH] = Written(replace(facts, weights=weights.add(xml).name), wider)
            xml = folder / f"{graph.name}.xml"
        _write(traced, xml, precision)
        written[graph.name] = entry(graph, xml.name, weights.add(xml).name, traced.model)
    return written


def _write(graph: TracedGraph, xml: Path, precision: FloatPrecision) -> None:
    """Write one IR by way of an ONNX file, which is deleted again."""
    store, onnx_file = WeightStore(xml.with_suffix(".data")), xml.with_suffix(".onnx")
    store.save(graph, onnx_file)
    to_openvino(onnx_file, xml, precision)
    for scratch in (store.path, onnx_file):
        scratch.unlink()


def to_openvino(onnx_file: Path, xml: Path, precision: FloatPrecision) -> None:
    """Convert an ONNX file to an IR; writes `xml` and the `.bin` beside it.

    Raises:
        ExportError: OpenVINO refused the graph.
    """
    from edgespeech_runtime.engines.openvino import openvino  # imported as the runtime does, without its telemetry

    try:
        model = openvino.convert_model(onnx_file)
        _name_weights(model, onnx_file)
        if precision == "float16":
            store_constants(model, narrowed)
        openvino.save_model(model, xml, compress_to_fp16=False)
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ExportError(f"OpenVINO could not convert {onnx_file.name}: {reason}") from error


def _name_weights(model: Any, onnx_file: Path) -> None:
    """Give constants that the conversion transposed or reshaped the names of the weights that they were."""
    weights: dict[bytes, str] = {}
    for tensor in onnx.load(onnx_file, load_external_data=False).graph.initializer:
        if tensor.name.endswith(".weight") and len(tensor.dims) > 1:
            values = numpy_helper.to_array(tensor, str(onnx_file.parent))
            for form in (values, values.T) if values.ndim == 2 else (values,):
                weights.setdefault(_hash(form), tensor.name)
    constants = [node for node in model.get_ordered_ops() if node.get_type_name() == "Constant"]
    taken = {node.friendly_name for node in constants}
    for node in constants:
        if len(node.output(0).shape) > 1 and not node.friendly_name.endswith(".weight"):
            name = weights.get(_hash(node.data))
            if name is not None and name not in taken:
                node.friendly_name = name
                taken.add(name)


def store_constants(model: Any, half: Callable[[Any], npt.NDArray[np.float16] | None]) -> None:
    """Store each constant of a model as the float16 array that `half` makes of it; None leaves a constant as it is.

    A conversion to float32 follows each of them, which OpenVINO folds when it loads the graph. Its own compression
    rounds vectors too.
    """
    from edgespeech_runtime.engines.openvino import openvino

    for node in model.get_ordered_ops():
        stored = half(node.data) if node.get_type_name() == "Constant" else None
        if stored is not None:
            name = node.friendly_name
            constant = openvino.op.Constant(stored)
            widened = openvino.opset13.convert(constant, "f32")
            constant.friendly_name, widened.friendly_name = f"{name}_float16", name
            node.output(0).replace(widened.output(0))


def _hash(values: Any) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).digest()


class SharedWeights:
    """One `.bin` for several IRs: that of the first, which takes up what only others have."""

    def __init__(self) -> None:
        self._common: Path | None = None
        self._offsets: dict[bytes, int] = {}

    def add(self, graph: Path) -> Path:
        """Point the constants of an IR at the common `.bin`, which is returned; its own is deleted."""
        own = graph.with_suffix(".bin")
        common = self._common = self._common or own
        content = np.memmap(own, np.uint8, "r")
        tree = ElementTree.parse(graph)  # noqa: S314  (written by OpenVINO a moment ago)
        for data in tree.iterfind("./layers/layer[@type='Const']/data"):
            start, size = int(data.attrib["offset"]), int(data.attrib["size"])
            constant = content[start : start + size].data
            key = hashlib.sha256(constant).digest()
            if own == common:
                self._offsets.setdefault(key, start)
            elif key not in self._offsets:
                self._offsets[key] = _append(common, constant)
            data.set("offset", str(self._offsets[key]))
        if own != common:
            tree.write(graph, encoding="utf-8", xml_declaration=True)
            del content, constant  # or some systems would keep the file
            own.unlink()
        return common


def share_weights(graphs: Sequence[Path]) -> Path:
    """Share the weights of IRs, see `SharedWeights`; returns the common `.bin`, that of the first."""
    shared = SharedWeights()
    for graph in graphs:
        shared.add(graph)
    return graphs[0].with_suffix(".bin")


def _append(path: Path, constant: memoryview) -> int:
    with path.open("ab") as stream:
        stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
        offset = stream.tell()
        stream.write(constant)
    return offset
