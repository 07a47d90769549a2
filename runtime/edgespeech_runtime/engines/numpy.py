"""Numpy itself as the engine, for places where there is no other, and to check the others by.

A graph is a program (`numpy_program`) of operators (`numpy_operators`) over an archive of weights (`numpy_weights`).
"""

import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.contracts import Tensor
from ..errors import BundleError, EngineError
from . import Arrays, ComputePrecision, Device, Port, ProviderUsage, check_ports, one_line
from .calls import current
from .numpy_operators import Array
from .numpy_operators.workers import Workers
from .numpy_program import Program, Step, plan
from .numpy_weights import Weights
from .threads import cores, threads_of_each

SMALL = 2**12  # bytes; to look for memory that can be used again costs more than so little


def offered() -> list[Device]:
    """The CPU, by the library of matrix products that numpy was built with."""
    blas = getattr(np.__config__, "CONFIG", {}).get("Build Dependencies", {}).get("blas", {})
    driver = f"{blas.get('name', '')} {blas.get('version', '')}".strip() or None
    return [Device("numpy:CPU", "cpu", "numpy", f"numpy {np.__version__}", driver)]


class Engine:
    """Numpy with so many threads for what is done element by element (None: one per core).

    Matrix products belong to numpy's BLAS, which has threads of its own: OPENBLAS_NUM_THREADS and the like, set before
    the process starts, say how many.
    """

    survives_forks = True

    def __init__(
        self,
        threads: int | None,
        device: Device | None = None,
        precision: ComputePrecision = "exact",
        streams: int = 1,
    ) -> None:
        self.device = device or offered()[0]
        self.precision: ComputePrecision = precision
        self.streams, self._threads = streams, threads
        self._workers = Workers(
            threads_of_each(threads, streams) or cores()
        )  # which notice that they are in another process
        # Graphs keep what they share alive.
        self._weights: weakref.WeakValueDictionary[Path, Weights] = weakref.WeakValueDictionary()

    def load(
        self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor], identity: str = ""
    ) -> "Graph":
        """Read the program `file` (.json) with `weights` (.npz), which graphs may share."""
        try:
            program = Program.read(file)
            archive = None
            if weights is not None:
                archive = self._weights.setdefault(weights, Weights(weights))
            return self._graph(file, program, archive, inputs, outputs)
        except BundleError:
            raise
        except Exception as error:  # what a damaged file can lead to has no base in common
            raise EngineError(f"numpy cannot load {file.name}: {one_line(error)}") from error

    def again(self) -> "Engine":
        """See the protocol."""
        return Engine(self._threads, self.device, self.precision, self.streams)

    def _graph(
        self, file: Path, program: Program, archive: Weights | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> "Graph":
        check_ports(file, "inputs", [_port(tensor) for tensor in program.inputs], inputs)
        check_ports(file, "outputs", [_port(tensor) for tensor in program.outputs], outputs)
        constants = {name: constant.array() for name, constant in program.constants.items()}
        if program.weights:
            if archive is None:
                raise BundleError(f"{file.name} names weights, the manifest no file of them: export the bundle again")
            constants.update(archive.get(program.wanted()))
        return Graph(file.name, program, constants, archive, self._workers)


class Graph:
    """One program. A call keeps what it computes to itself, so that many threads may run it."""

    def __init__(
        self, name: str, program: Program, constants: dict[str, Array], archive: Weights | None, workers: Workers
    ) -> None:
        self._name, self._inputs, self._constants, self._archive = name, program.inputs, constants, archive
        self._outputs = [tensor.name for tensor in program.outputs]
        self._steps, self._shared = plan(program, workers)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """All outputs by name. An intermediate result is let go of after its last use."""
        values = {**self._constants, **self._checked(inputs)}
        call = current()
        with np.errstate(all="ignore"):
            for step in self._steps:
                call.require()
                try:
                    _run(step, values)
                except Exception as error:
                    reason = f"{one_line(error)} (step {step.spec.name}, {step.spec.op})"
                    raise EngineError(f"numpy failed in {self._name}: {reason}") from error
        return {name: self._own(name, np.asarray(values[name])) for name in self._outputs}

    def bind(self) -> "Binding":
        """Prepare a series of calls."""
        return Binding(self)

    def placement(self, inputs: Arrays) -> list[ProviderUsage]:
        """All of it on the CPU."""
        began = time.perf_counter()
        self.run(inputs)
        return [ProviderUsage("CPU", len(self._steps), time.perf_counter() - began)]

    def _checked(self, inputs: Arrays) -> Arrays:
        for tensor in self._inputs:
            array = inputs.get(tensor.name)
            expected = f"{tensor.name} as {tensor.dtype} with {len(tensor.axes)} axes"
            if array is None:
                raise EngineError(f"numpy failed in {self._name}: expected {expected}, got none")
            if array.dtype != tensor.dtype or array.ndim != len(tensor.axes):
                raise EngineError(
                    f"numpy failed in {self._name}: expected {expected}, got {array.dtype} with {array.ndim}"
                )
        return {tensor.name: inputs[tensor.name] for tensor in self._inputs}

    def _own(self, name: str, value: Array) -> Array:
        is_callers = name not in self._shared and value.flags.writeable and value.flags.c_contiguous
        return value if is_callers else np.array(value, order="C")


class Binding:
    """Remembers inputs; numpy reads them where they lie anyhow."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._inputs: dict[str, Array] = {}

    def set(self, inputs: Arrays) -> None:
        """Bind arrays to inputs."""
        self._inputs.update(inputs)

    def run(self) -> dict[str, Array]:
        """All outputs by name."""
        return self._graph.run(self._inputs)


def _run(step: Step, values: dict[str, Any]) -> None:
    """Run one step, in memory that nobody needs any more where there is some."""
    arguments = [values[name] if name else None for name in step.spec.inputs]
    spare = next((arguments[index] for index in step.spare if _fits(arguments[index], arguments, step)), None)
    result = step.call(*arguments) if spare is None else step.call(*arguments, out=spare)
    if isinstance(result, tuple):
        values.update(zip(step.spec.outputs, result, strict=True))
    else:
        (name,) = step.spec.outputs
        values[name] = result
    for name in step.done:
        del values[name]


def _fits(candidate: Any, arguments: list[Any], step: Step) -> bool:
    """Whether the result may be written to `candidate`: it has its shape and type, and nobody else's elements."""
    if candidate.nbytes < SMALL or not candidate.flags.writeable:
        return False
    if step.is_mapped:
        return True
    is_shape = np.broadcast_shapes(*(np.shape(argument) for argument in arguments)) == candidate.shape
    return is_shape and all(argument.dtype == candidate.dtype for argument in arguments)


def _port(tensor: Tensor) -> Port:
    return Port(frozenset([tensor.name]), tensor.dtype, len(tensor.axes))
