"""OpenVINO on the CPU: the only module that imports it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Tensor
from ..errors import EngineError, EnginePackageError
from . import Arrays, Port, check_ports, one_line

TELEMETRY = "openvino_telemetry"
SHAPES_KEPT = 16  # for each kind of kernel


def _import_openvino() -> Any:
    """Import openvino without its optional telemetry package.

    With it, the import alone starts a thread, writes to the home folder and calls a server; without it, openvino
    falls back to a stub.
    """
    is_blocked = TELEMETRY not in sys.modules and "openvino" not in sys.modules
    if is_blocked:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # Python's own way to say: not importable
    try:
        import openvino
    except ImportError as error:
        raise EnginePackageError("openvino", "openvino", error) from error
    finally:
        if is_blocked:
            del sys.modules[TELEMETRY]
    return openvino


openvino = _import_openvino()


class Engine:
    """OpenVINO's CPU plug-in with so many threads (None: one per core), tuned for one utterance at a time."""

    def __init__(self, threads: int | None) -> None:
        self._core = openvino.Core()
        # Left to itself, the plug-in computes in bfloat16 wherever the processor can.
        self._settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        # What is compiled for a shape is kept, by default for thousands of them: each new length would take memory.
        self._settings["CPU_RUNTIME_CACHE_CAPACITY"] = SHAPES_KEPT
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = threads

    def load(self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> "Graph":
        """Read `file` (.xml) with `weights` (.bin), which graphs may share, and compile it."""
        try:
            model = self._core.read_model(str(file), str(weights) if weights else "")
            compiled = self._core.compile_model(model, "CPU", self._settings)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load {file.name}: {one_line(error)}") from error
        check_ports(file, "inputs", [_port(port) for port in compiled.inputs], inputs)
        check_ports(file, "outputs", [_port(port) for port in compiled.outputs], outputs)
        return Graph(file.name, compiled, [tensor.name for tensor in outputs])


class Graph:
    """One compiled model. An infer request serves one call at a time; each running call has its own, idle ones wait."""

    def __init__(self, name: str, compiled: Any, outputs: list[str]) -> None:
        self._name, self._compiled, self._outputs = name, compiled, outputs
        self._idle: list[Any] = []

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name, copied out of the request."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            # Not infer(): with one thread it swallows failures and leaves the outputs of the call before (2026.4).
            request.start_async(dict(inputs))
            request.wait()
            outputs = {name: np.array(request.get_tensor(name).data) for name in self._outputs}
        except RuntimeError as error:  # the request is not used again
            raise EngineError(f"OpenVINO failed in {self._name}: {one_line(error)}") from error
        self._idle.append(request)
        return outputs

    def bind(self) -> "Binding":
        """Prepare a series of calls."""
        return Binding(self._name, self._compiled.create_infer_request(), self._outputs)


class Binding:
    """An infer request of its own, whose input tensors are the caller's memory."""

    def __init__(self, name: str, request: Any, outputs: list[str]) -> None:
        self._name, self._request, self._outputs = name, request, outputs
        self._kept: dict[str, Any] = {}  # a request holds an address, but does not keep what lies there alive

    def set(self, inputs: Arrays) -> None:
        """Bind arrays to inputs."""
        for name, array in inputs.items():
            self._kept[name] = tensor = openvino.Tensor(array, shared_memory=True)
            self._request.set_tensor(name, tensor)

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name, as views of the request's own memory."""
        try:
            self._request.start_async()
            self._request.wait()
            return {name: self._request.get_tensor(name).data for name in self._outputs}
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed in {self._name}: {one_line(error)}") from error


def _port(port: Any) -> Port:
    rank = port.partial_shape.rank
    dtype = np.dtype(port.element_type.to_dtype()).name
    return Port(frozenset(port.names), dtype, rank.get_length() if rank.is_static else None)
