"""Inference engines. Each module here imports one engine, and only when a bundle asks for it.

To add an engine: a module with a class `Engine(threads)` that has the methods of the protocol below, and a line in
`ENGINES`.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt

from ..contracts import Tensor
from ..errors import ArgumentError, BundleError, DeviceError
from ..manifest import EngineName

Arrays = Mapping[str, npt.NDArray[Any]]

ENGINES: dict[EngineName, str] = {"onnx": ".onnx", "openvino": ".openvino"}  # modules of this package
DEVICES = ("cpu",)


class Graph(Protocol):
    """A loaded graph. It may be called from many threads at once."""

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name, in arrays that belong to the caller. Raises EngineError."""
        ...

    def bind(self) -> "Binding":
        """Prepare a series of calls that share most of their inputs."""
        ...


class Binding(Protocol):
    """A series of calls of one graph, for one thread at a time. Inputs are read where they lie, without a copy."""

    def set(self, inputs: Arrays) -> None:
        """Bind contiguous, writable arrays to these inputs; what is written into them later is seen."""
        ...

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name, in arrays that hold until the next call. Raises EngineError."""
        ...


class Engine(Protocol):
    """An engine on one device with its settings; it loads any number of graphs."""

    def load(self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> Graph:
        """Load a graph that has exactly these tensors. Raises EngineError, or BundleError where it has others."""
        ...


class Port(NamedTuple):
    """An input or output as an engine reports it: its names, numpy type and number of axes (None: left open)."""

    names: frozenset[str]
    dtype: str
    rank: int | None


def open_engine(name: EngineName, device: str, threads: int | None) -> Engine:
    """Start an engine. `device` is "cpu" or "auto"; `threads` None leaves the number to the engine.

    Raises DeviceError, ArgumentError for an impossible number of threads, EnginePackageError where the engine is not
    installed.
    """
    if device not in (*DEVICES, "auto"):
        offered = ", ".join(map(repr, DEVICES))
        raise DeviceError(f"device {device!r} is not offered here: use {offered}, or 'auto' for the best of them")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ArgumentError(
            f"threads: expected a whole number of at least 1, or None for the engine's choice, got {threads!r}"
        )
    engine: Engine = importlib.import_module(ENGINES[name], __name__).Engine(threads)
    return engine


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
