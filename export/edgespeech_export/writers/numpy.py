"""Programs for the numpy engine from ONNX graphs, several over one archive of weights.

A program is JSON (`edgespeech_runtime.engines.numpy_program`), a step a line; the archive is an `.npz`.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from edgespeech_runtime.bundle.contracts import Tensor
from edgespeech_runtime.choices import FloatPrecision
from edgespeech_runtime.engines.numpy_operators import OPERATORS
from edgespeech_runtime.engines.numpy_program import FORMAT, unknown
from onnx import helper, numpy_helper

from edgespeech_export.errors import ExportError
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers import tracing
from edgespeech_export.writers.traced_graph import TracedGraph, Values
from edgespeech_export.writers.weight_store import narrowed
from edgespeech_export.writers.written import Note, Written, entry

if TYPE_CHECKING:
    from edgespeech_export.sources.source import Source

ARCHIVE_FILE = "weights.npz"
MOST_INLINE = 16  # elements of a constant that stands in the program itself
KERNEL_AXES = 3  # channels out, channels in, taps; over an image of one row there is an axis of 1 before the last
PREFIX = "model."  # of the names of parameters: every graph's module holds the model under this name
# Attributes that say how, not what, with the one value of each that numpy follows.
SILENT: dict[tuple[str, str], Any] = {
    ("Cast", "saturate"): 1,
    ("BatchNormalization", "momentum"): None,  # any: it is for training
    ("BatchNormalization", "training_mode"): 0,
    ("Conv", "auto_pad"): "NOTSET",
    ("Conv", "kernel_shape"): None,  # the weight has it
    ("LayerNormalization", "stash_type"): 1,
}


def write(source: "Source", folder: Path, precision: FloatPrecision, note: Note) -> dict[str, Written]:
    """Write programs over one archive of weights, from the same graphs as ONNX.

    With channels last in the graph it would be slower here: the operator for convolutions has them last already.
    """
    written = {}
    with Archive(folder / ARCHIVE_FILE) as archive:
        for graph in source.graphs("numpy"):
            note(f"ONNX graph {graph.name}")
            traced = tracing.trace(graph, source.samples)
            file = f"{graph.name}.json"
            (folder / file).write_text(to_program(traced, graph, archive, precision), encoding="utf-8")
            written[graph.name] = entry(graph, file, ARCHIVE_FILE, traced.model)
    return written


class Archive:
    """Writes an uncompressed `.npz` array by array, same arrays, same bytes; equal ones are stored once."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._names: dict[bytes, str] = {}
        self._taken: set[str] = set()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def put(self, name: str, values: Values, precision: FloatPrecision) -> str:
        """Store a weight and return what it is called: `name`, or another where that is taken.

        For float16 a matrix or kernel is narrowed where that changes nothing.
        """
        content = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
        content.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        key = content.digest()
        if key not in self._names:
            while name in self._taken:
                name += "_"
            self._taken.add(name)
            self._names[key] = name
            half = narrowed(values) if precision == "float16" else None
            self.write({name: values if half is None else half})
        return self._names[key]

    def write(self, arrays: Mapping[str, Values]) -> None:
        """Store arrays as they are, under these names."""
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # its date is the same always
            with self._zip.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def to_program(
    graph: onnx.ModelProto | TracedGraph, source: GraphSource, archive: Archive, precision: FloatPrecision
) -> str:
    """Return the program of a graph as JSON text; its weights go to the archive.

    Raises:
        ExportError: the graph has an operator that the numpy engine does not know.
    """
    traced = TracedGraph.of(graph)
    model = traced.model
    arrays = {tensor.name: traced.values(tensor) for tensor in model.graph.initializer}
    given = [node for node in model.graph.node if node.op_type == "Constant"]
    arrays.update((node.output[0], np.asarray(numpy_helper.to_array(node.attribute[0].t))) for node in given)
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    constants = {name: array for name, array in arrays.items() if _is_inline(array)}
    read = {name for node in nodes for name in node.input}
    kernels = {node.input[index] for node in nodes for index in _arranged(node) if index < len(node.input)}
    for name in kernels & {*arrays}:
        if arrays[name].ndim != KERNEL_AXES and not (
            arrays[name].ndim == KERNEL_AXES + 1 and arrays[name].shape[2] == 1
        ):
            raise ExportError(f"the graph {source.name!r} cannot run in numpy: {name} is no kernel along one axis")
    weights = {
        name: archive.put(name.removeprefix(PREFIX), array, precision)
        for name, array in arrays.items()
        if name in read and (name not in constants or name in kernels)
    }
    steps = _named(nodes, {*weights, *constants})
    for step in steps:
        if reason := unknown(step, {*weights}):
            raise ExportError(f"the graph {source.name!r} cannot run in numpy: {reason}; use another engine")
    return _text(
        {
            "format": FORMAT,
            "name": source.name,
            "inputs": [_port(spec) for spec in source.inputs],
            "outputs": [_port(spec) for spec in source.outputs],
            "constants": {
                name: {"dtype": array.dtype.name, "values": array.tolist()}
                for name, array in constants.items()
                if name in read and name not in weights
            },
            "weights": weights,
            "steps": steps,
        }
    )


def _is_inline(array: Values) -> bool:
    """Small, and without a value that JSON has no word for."""
    return array.size <= MOST_INLINE and array.ndim <= 1 and bool(np.isfinite(array).all())


def _arranged(node: onnx.NodeProto) -> Iterable[int]:
    return OPERATORS[node.op_type].arranges if node.op_type in OPERATORS else ()


def _named(nodes: list[onnx.NodeProto], weights: set[str]) -> list[dict[str, Any]]:
    """The steps, each under the path of the module that it belongs to.

    A weight's name says that. A step without weights belongs to the innermost module that both the step with weights
    before it and the one behind it are in.
    """
    own = [_module(node, weights) for node in nodes]
    before, behind = list(own), list(own)
    for index in range(1, len(nodes)):
        before[index] = own[index] or before[index - 1]
    for index in reversed(range(len(nodes) - 1)):
        behind[index] = own[index] or behind[index + 1]
    return [
        {
            "name": path or _common(first, last) or node.name or node.output[0],
            "op": node.op_type,
            "inputs": list(node.input),
            "outputs": list(node.output),
            "attributes": _attributes(node),
        }
        for node, path, first, last in zip(nodes, own, before, behind, strict=True)
    ]


def _module(node: onnx.NodeProto, weights: set[str]) -> str:
    paths = (name.removeprefix(PREFIX).rpartition(".")[0] for name in node.input if name in weights)
    return next(filter(None, paths), "")


def _common(first: str, last: str) -> str:
    shared = []
    for one, other in zip(first.split("."), last.split("."), strict=False):
        if one != other:
            break
        shared.append(one)
    return ".".join(shared)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes as Python has them, without those that say what is so anyhow."""
    defaults = OPERATORS[node.op_type].attributes() if node.op_type in OPERATORS else {}
    attributes = {}
    for attribute in node.attribute:
        name, value = attribute.name, _python(helper.get_attribute_value(attribute))
        if (node.op_type, name) in SILENT:
            allowed = SILENT[node.op_type, name]
            if allowed not in (None, value):
                raise ExportError(f"{node.op_type} with {name}={value!r} cannot run in numpy; use another engine")
            continue
        if node.op_type == "Cast" and name == "to":
            value = np.dtype(helper.tensor_dtype_to_np_dtype(value)).name
        default = defaults.get(name)
        if value != (list(default) if isinstance(default, tuple) else default):
            attributes[name] = value
    return attributes


def _python(value: Any) -> Any:
    """An attribute's value for JSON: text for bytes, float32 by its shortest digits."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float):
        return float(str(np.float32(value)))
    return list(value) if isinstance(value, list | tuple) or hasattr(value, "extend") else value


def _port(spec: Tensor) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "axes": list(spec.axes)}


def _text(program: dict[str, Any]) -> str:
    """JSON with a line for each entry."""
    parts = []
    for name, value in program.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(f"  {json.dumps(entry)}" for entry in value)
            parts.append(f" {json.dumps(name)}: [\n{lines}\n ]")
        elif isinstance(value, dict) and value:
            lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items())
            parts.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
        else:
            parts.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
