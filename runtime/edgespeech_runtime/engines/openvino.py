"""OpenVINO on any of its devices: the only module that imports it."""

import contextlib
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.contracts import Tensor
from ..choices import Kind
from ..errors import EdgeSpeechRuntimeError, EngineError, EnginePackageError
from . import Arrays, ComputePrecision, Device, Port, ProviderUsage, check_ports, one_line
from .calls import current
from .compiled import SLOW, kept
from .openvino_requests import Requests

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


LIBRARY = f"openvino {openvino.__version__.partition('-')[0]}"
KINDS: dict[str, Kind] = {"CPU": "cpu", "GPU": "gpu", "NPU": "npu"}
COMBINING = ("AUTO", "HETERO", "MULTI", "BATCH")  # plug-ins that spread work over others: "HETERO:NPU,CPU"
NUMBERS = {"FP32": "float32", "FP16": "float16", "BF16": "bfloat16", "INT8": "int8"}
FAST = ("BF16", "FP16")  # the first of these that a device computes in is its fast one
HINTS = {"BF16": "bf16", "FP16": "f16"}


def offered() -> list[Device]:
    """The devices that OpenVINO's plug-ins see here."""
    core = openvino.Core()
    return [_device(core, name) for name in core.available_devices]


def combined(target: str, devices: Sequence[Device]) -> Device | None:
    """A device made of others, such as "HETERO:NPU,CPU" or "AUTO"; None where one of them is not there."""
    plugin, _, parts = target.partition(":")
    there = {device.target: device for device in devices}
    names = [part.partition("(")[0] for part in parts.split(",") if part] or list(there)
    if plugin not in COMBINING or not all(name in there for name in names):
        return None
    first = there[names[0]]
    return Device(f"openvino:{target}", first.kind, "openvino", LIBRARY, None, first.precisions, first.static)


def _device(core: Any, name: str) -> Device:
    kind = KINDS[name.partition(".")[0]]
    able = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
    precisions = tuple(NUMBERS[number] for number in NUMBERS if number in able)
    driver = str(core.get_property(name, "FULL_DEVICE_NAME"))
    return Device(f"openvino:{name}", kind, "openvino", LIBRARY, driver, precisions, static=kind == "npu")


class Engine:
    """A device with so many threads (None: one per core), tuned for as many utterances at a time as it has streams."""

    survives_forks = False

    def __init__(
        self,
        threads: int | None,
        device: Device | None = None,
        precision: ComputePrecision = "exact",
        streams: int = 1,
    ) -> None:
        self._core, self._threads, self.streams = openvino.Core(), threads, streams
        self.device = device or _device(self._core, "CPU")
        self.precision: ComputePrecision = precision
        self._target = self.device.target
        # Left to itself, a plug-in computes in bfloat16 or float16 wherever the device can.
        self._settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if precision == "fast" or self.device.static:  # an NPU has no float32
            able = self._core.get_property(self._target.partition(":")[0], "OPTIMIZATION_CAPABILITIES")
            self._settings["INFERENCE_PRECISION_HINT"] = next((HINTS[name] for name in FAST if name in able), "f32")
        if self._target == "CPU":
            # What is compiled for a shape is kept, by default for thousands of them: each new length would take memory.
            self._settings["CPU_RUNTIME_CACHE_CAPACITY"] = SHAPES_KEPT
            if threads is not None:
                self._settings["INFERENCE_NUM_THREADS"] = threads
            if streams > 1:
                self._settings["NUM_STREAMS"] = streams

    def load(
        self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor], identity: str = ""
    ) -> "Graph":
        """Read `file` (.xml) with `weights` (.bin), which graphs may share, and compile it."""
        try:
            model = self._core.read_model(str(file), str(weights) if weights else "")
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load {file.name}: {one_line(error)}") from error
        is_kept = identity and self.device.kind in SLOW
        compiled = self._kept(model, file, identity) if is_kept else self.compile(model, file)
        check_ports(file, "inputs", [_port(port) for port in compiled.inputs], inputs)
        check_ports(file, "outputs", [_port(port) for port in compiled.outputs], outputs)
        return Graph(file, model, compiled, [tensor.name for tensor in outputs], self)

    def again(self) -> "Engine":
        """See the protocol."""
        return Engine(self._threads, self.device, self.precision, self.streams)

    def _kept(self, model: Any, file: Path, identity: str) -> Any:
        """The model compiled, from what an earlier run kept of it; what cannot be used any more is compiled again."""

        def read(blob: bytes) -> Any:
            with contextlib.suppress(RuntimeError):
                return self._core.import_model(blob, self._target, self._settings)
            return None

        def make() -> tuple[Any, bytes | None]:
            compiled = self.compile(model, file)
            with contextlib.suppress(RuntimeError):  # not every device can
                return compiled, compiled.export_model().getvalue()
            return compiled, None

        return kept(self.device, file.name, identity, self._settings, read, make)

    def compile(self, model: Any, file: Path, **settings: Any) -> Any:
        """The model for the device, with settings beyond the engine's own. Raises EngineError."""
        try:
            return self._core.compile_model(model, self._target, {**self._settings, **settings})
        except RuntimeError as error:
            raise EngineError(f"OpenVINO cannot load {file.name}: {one_line(error)}") from error


class Graph:
    """One compiled model, and the same model compiled again after a run that did not end well."""

    def __init__(self, file: Path, model: Any, compiled: Any, outputs: list[str], engine: Engine) -> None:
        self._file, self._model, self._engine, self._outputs = file, model, engine, outputs
        self._name = file.name
        self._lock = threading.Lock()
        self._requests: Requests | None = self._of(compiled)

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name, copied out of the request."""
        given, requests = dict(inputs), self.requests()
        with requests.turn():
            request = requests.take(is_bound=False)
            outputs = self.compute(requests, request, lambda: request.start_async(given))
            requests.give(request, is_bound=False)
        return outputs

    def bind(self) -> "Binding":
        """Prepare a series of calls."""
        return Binding(self)

    def compute(self, requests: Requests, request: Any, start: Callable[[], None]) -> dict[str, npt.NDArray[Any]]:
        """Start an infer request, wait for its end, and copy its outputs. Raises EngineError, and CancelledError.

        A run that was stopped leaves shapes behind in the compiled model, at which other requests fail (2026.4): after
        a run that did not end well the model is compiled again.
        """
        try:
            _compute(self._name, request, start)
        except BaseException:
            with self._lock:
                if self._requests is requests:
                    self._requests = None
            raise
        return {name: np.array(request.get_tensor(port).data) for name, port in requests.outputs.items()}

    def requests(self) -> Requests:
        """Those of the compiled model. Raises EngineError."""
        with self._lock:
            if self._requests is None:
                self._requests = self._of(self._engine.compile(self._model, self._file))
            return self._requests

    def _of(self, compiled: Any) -> Requests:
        return Requests(compiled, self._outputs, is_single=self._engine.streams == 1)

    def placement(self, inputs: Arrays) -> list[ProviderUsage]:
        """Nodes and seconds by device, in the second of two runs of a model compiled with counters."""
        compiled = self._engine.compile(self._model, self._file, PERF_COUNT=True)
        request = compiled.create_infer_request()
        try:
            for _ in range(2):
                request.infer(dict(inputs))
            nodes = [node for node in request.profiling_info if str(node.status).endswith("EXECUTED")]
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed in {self._name}: {one_line(error)}") from error
        seconds = sum(node.real_time.total_seconds() for node in nodes)
        return [ProviderUsage(",".join(compiled.get_property("EXECUTION_DEVICES")), len(nodes), seconds)]


class Binding:
    """An infer request of its own, whose input tensors are the caller's memory."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._requests = graph, graph.requests()
        with self._requests.turn():
            self._request = self._requests.take(is_bound=True)
        self._kept: dict[str, Any] = {}  # a request holds an address, but does not keep what lies there alive

    def set(self, inputs: Arrays) -> None:
        """Bind arrays to inputs."""
        tensors = {name: openvino.Tensor(array, shared_memory=True) for name, array in inputs.items()}
        with self._requests.turn():
            for name, tensor in tensors.items():
                self._request.set_tensor(name, tensor)
        self._kept |= tensors  # those before may go now

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        with self._requests.turn():
            return self._graph.compute(self._requests, self._request, self._request.start_async)

    def __del__(self) -> None:
        if hasattr(self, "_request"):
            self._requests.give(self._request, is_bound=True)


def _compute(name: str, request: Any, start: Callable[[], None]) -> None:
    """Start an infer request and wait for its end. Raises EngineError, and CancelledError."""
    call = current()

    def work() -> None:
        # Not infer(): with one thread it swallows failures and leaves the outputs of the call before (2026.4).
        start()
        if call.is_stopping:  # asked for a moment before there was anything to stop
            request.cancel()
        request.wait()

    try:
        call.run(lambda: (work, request.cancel))
    except EdgeSpeechRuntimeError:
        raise
    except RuntimeError as error:
        raise EngineError(f"OpenVINO failed in {name}: {one_line(error)}") from error


def _port(port: Any) -> Port:
    rank = port.partial_shape.rank
    dtype = np.dtype(port.element_type.to_dtype()).name
    return Port(frozenset(port.names), dtype, rank.get_length() if rank.is_static else None)
