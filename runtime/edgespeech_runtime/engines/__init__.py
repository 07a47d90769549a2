"""Inference engines. Each module here imports one engine, and only when a bundle asks for it.

To add an engine: a module with `offered()`, the list of devices that it can use here, and a class `Engine(threads,
device, precision, streams)` that has the methods of the protocol below; and a row in `choices.ENGINES`.
"""

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import numpy.typing as npt

from ..bundle.contracts import Tensor
from ..choices import ENGINES, EngineName, Kind
from ..errors import ArgumentError, BundleError

Arrays = Mapping[str, npt.NDArray[Any]]
ComputePrecision = Literal["exact", "fast"]


@dataclass(frozen=True)
class Device:
    """Something that runs models.

    Attributes:
        name: exact, as `load(device=...)` takes it: "onnx:CPUExecutionProvider", "openvino:NPU".
        kind: "cpu", "gpu" or "npu".
        engine: whose bundles run there.
        library: the engine and its version.
        driver: what the device itself is called or driven by, None where the engine does not say.
        precisions: what it computes in.
        static: it needs graphs whose shapes are all fixed.
    """

    name: str
    kind: Kind
    engine: EngineName
    library: str
    driver: str | None = None
    precisions: tuple[str, ...] = ("float32",)
    static: bool = False

    @property
    def target(self) -> str:
        """The name that the engine knows it by."""
        return self.name.partition(":")[2]


class ProviderUsage(NamedTuple):
    """What one provider of an engine did in a run of a graph: its name, the nodes it ran, the seconds they took."""

    provider: str
    nodes: int
    seconds: float


class DeviceTensor(NamedTuple):
    """A tensor that stayed in a device's memory: its shape, the engine's own value, and what must outlive that."""

    shape: tuple[int, ...]
    value: Any
    owner: Any


class Graph(Protocol):
    """A loaded graph. It may be called from many threads at once."""

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name, in arrays that belong to the caller. Raises EngineError."""
        ...

    def bind(self) -> "Binding":
        """Prepare a series of calls that share most of their inputs."""
        ...

    def placement(self, inputs: Arrays) -> list[ProviderUsage]:
        """Run once under the engine's profiler and say what ran where, the most time first. Raises EngineError."""
        ...


@runtime_checkable
class DeviceGraph(Graph, Protocol):
    """A graph on a device with a memory of its own, where outputs can stay until another graph takes them in."""

    def bind_there(self, staying: Collection[str]) -> "Binding":
        """Prepare a series of calls whose outputs `staying` come as `DeviceTensor`."""
        ...


class Binding(Protocol):
    """A series of calls of one graph, for one thread at a time.

    A device reads the host's memory without a copy where it can; `DeviceTensor` inputs are where it wants them.
    """

    def set(self, inputs: Mapping[str, Any]) -> None:
        """Bind contiguous, writable arrays to these inputs; later writes are seen. Or `DeviceTensor`s."""
        ...

    def run(self) -> dict[str, Any]:
        """All outputs by name, in arrays that hold until the next call, or `DeviceTensor`. Raises EngineError."""
        ...


class Engine(Protocol):
    """An engine on one device with its settings; it loads any number of graphs."""

    device: Device
    precision: ComputePrecision
    streams: int  # how many batches are to run at the same time; they share the threads
    survives_forks: bool  # whether it can be used in a process that was forked

    def load(
        self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor], identity: str = ""
    ) -> Graph:
        """Load a graph that has exactly these tensors. Raises EngineError, or BundleError where it has others.

        `identity` stands for the content of the files: what is compiled of it may be kept for the next time.
        """
        ...

    def again(self) -> "Engine":
        """The same, started anew: for a process that was forked."""
        ...


class Port(NamedTuple):
    """An input or output as an engine reports it: its names, numpy type and number of axes (None: left open)."""

    names: frozenset[str]
    dtype: str
    rank: int | None


def engine_module(name: EngineName) -> Any:
    """Import the module of an engine. Raises EnginePackageError where its package is not installed."""
    return importlib.import_module(f".{ENGINES[name].module}", __name__)


def start(
    device: Device, threads: int | None = None, precision: ComputePrecision = "exact", streams: int = 1
) -> Engine:
    """Start the engine of a device. `threads` None leaves the number to the engine; `streams` batches share them.

    `precision` "exact" computes in float32, "fast" in whatever is fastest there. Raises ArgumentError for an impossible
    number of threads or streams or an unknown precision, EnginePackageError where the engine is not installed.
    """
    if threads is not None and not _is_count(threads):
        raise ArgumentError(
            f"threads: expected a whole number of at least 1, or None for the engine's choice, got {threads!r}"
        )
    if not _is_count(streams):
        raise ArgumentError(f"streams: expected a whole number of at least 1, got {streams!r}")
    if precision not in get_args(ComputePrecision):
        raise ArgumentError(f"precision: expected 'exact' or 'fast', got {precision!r}")
    engine: Engine = engine_module(device.engine).Engine(threads, device, precision, streams)
    return engine


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def check_ports(file: Path, kind: str, found: Sequence[Port], expected: Sequence[Tensor]) -> None:
    """Refuse a graph whose `kind` ("inputs", "outputs") differ from the manifest's table. Raises BundleError."""
    for tensor in expected:
        port = next((port for port in found if tensor.name in port.names), None)
        if port is None:
            raise BundleError(
                f"{file.name}: the {kind} lack {tensor.name!r}, which the manifest lists: export the bundle again"
            )
        if port.dtype != tensor.dtype or port.rank not in (None, len(tensor.axes)):
            raise BundleError(
                f"{file.name}: the manifest gives {tensor.name!r} as {tensor.dtype} with {len(tensor.axes)} axes, "
                f"the graph as {port.dtype} with {port.rank}: export the bundle again"
            )
    listed = {tensor.name for tensor in expected}
    for port in found:
        if not port.names & listed:
            raise BundleError(
                f"{file.name}: {min(port.names)!r} is not in the manifest's {kind}: export the bundle again"
            )


def one_line(error: Exception) -> str:
    """An engine's message without line breaks and the places in its own source."""
    lines = (line.strip() for line in str(error).splitlines())
    said = " ".join(line for line in lines if line and not line.startswith("Exception from "))
    return said[:300] or type(error).__name__
