"""onnxruntime on the CPU: the only module that imports it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..contracts import Tensor
from ..errors import EngineError, EnginePackageError
from . import Arrays, Port, check_ports, one_line

try:
    import onnxruntime
except ImportError as error:
    raise EnginePackageError("onnx", "onnxruntime", error) from error

ERRORS_ONLY = 3  # onnxruntime's severities: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal
DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}  # the rest are numpy's names: tensor(int64)


class Engine:
    """onnxruntime's CPU provider with so many threads inside an operator (None: one per core)."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads or 0  # 0: onnxruntime's default
        onnxruntime.disable_telemetry_events()

    def load(self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> "Graph":
        """Load `file`; onnxruntime finds the weights beside it by the name in the graph."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no other base
            raise EngineError(f"onnxruntime cannot load {file.name}: {one_line(error)}") from error
        check_ports(file, "inputs", [_port(node) for node in session.get_inputs()], inputs)
        check_ports(file, "outputs", [_port(node) for node in session.get_outputs()], outputs)
        return Graph(file.name, session, [tensor.name for tensor in outputs])


class Graph:
    """One session; onnxruntime lets many threads run it."""

    def __init__(self, name: str, session: Any, outputs: list[str]) -> None:
        self._name, self._session, self._outputs = name, session, outputs

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:
            raise EngineError(f"onnxruntime failed in {self._name}: {one_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))

    def bind(self) -> "Binding":
        """Prepare a series of calls."""
        return Binding(self._name, self._session, self._outputs)


class Binding:
    """Inputs as onnxruntime's own values over the caller's memory, so that a call converts nothing."""

    def __init__(self, name: str, session: Any, outputs: list[str]) -> None:
        self._name, self._session, self._outputs = name, session, outputs
        self._inputs: dict[str, Any] = {}

    def set(self, inputs: Arrays) -> None:
        """Bind arrays to inputs."""
        self._inputs.update((name, onnxruntime.OrtValue.ortvalue_from_numpy(array)) for name, array in inputs.items())

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        try:
            values = self._session.run_with_ort_values(self._outputs, self._inputs)
        except Exception as error:
            raise EngineError(f"onnxruntime failed in {self._name}: {one_line(error)}") from error
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}


def _port(node: Any) -> Port:
    dtype = DTYPES.get(node.type, node.type.removeprefix("tensor(").removesuffix(")"))
    return Port(frozenset([node.name]), dtype, len(node.shape))
