"""Graphs of an NPU's bundle as Qualcomm's compiler makes them, written beside those that any machine can compile.

The compiler comes with onnxruntime-qnn, and needs no NPU. What it writes is for one version of it; the runtime
compiles the graph itself where it has another.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from edgespeech_runtime.bundle.manifest import Compiled, Graph
from edgespeech_runtime.engines import Device, engine_module
from edgespeech_runtime.engines.devices import candidates
from edgespeech_runtime.errors import DeviceError, EngineError

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.steps import Progress

NPU = "onnx:QNNExecutionProvider"
COMPILED = "EPContext"  # onnxruntime's node for what a provider has compiled


def compiler() -> Device:
    """Return the device whose provider compiles.

    Raises:
        QuantizationError: its package is not installed.
    """
    try:
        return candidates("onnx", NPU, static=True)[0]
    except DeviceError:
        raise QuantizationError(
            "compiling for Qualcomm's NPU needs its compiler: pip install onnxruntime-qnn, or compile on the device"
        ) from None


def compile_graphs(
    folder: Path, graphs: Mapping[str, Graph], soc_model: int | None, progress: Progress
) -> dict[str, Graph]:
    """Write `NAME.qnn.onnx` into `folder` for each graph NAME that lies there, and return the graphs with those named.

    Args:
        folder: of the bundle.
        graphs: by name.
        soc_model: Qualcomm's number of the chip; None leaves the choice to the compiler.
        progress: called for each graph.

    Raises:
        QuantizationError: there is no compiler, or it refused a graph.
    """
    device = compiler()
    options = {} if soc_model is None else {"soc_model": str(soc_model)}
    engine, compiled = engine_module("onnx").Engine(None, device), {}
    for done, (name, graph) in enumerate(graphs.items()):
        progress("compiling", done, len(graphs))
        file = f"{name}.qnn.onnx"
        try:
            (folder / file).write_bytes(engine.compile(folder / graph.file, options))
        except EngineError as error:
            raise QuantizationError(f"{graph.file} cannot be compiled for Qualcomm's NPU: {error}") from error
        compiled[name] = replace(graph, compiled=(Compiled(file, device.name, device.library, options),))
    return compiled


def compiled_report(folder: Path, graphs: Mapping[str, Graph]) -> dict[str, Any]:
    """What was compiled by what, and the names of the nodes that the compiler left to the CPU, by graph."""
    compiled = [(name, each) for name, graph in graphs.items() for each in graph.compiled]
    first = compiled[0][1]
    left = {name: _nodes_elsewhere(folder / each.file) for name, each in compiled}
    return {
        "device": first.device,
        "library": first.library,
        "options": first.options,
        "bytes": sum((folder / each.file).stat().st_size for _, each in compiled),
        "nodes_elsewhere": {name: nodes for name, nodes in left.items() if nodes},
    }


def _nodes_elsewhere(file: Path) -> list[str]:
    graph = onnx.load(file, load_external_data=False).graph
    return [node.name or node.op_type for node in graph.node if node.op_type != COMPILED]
