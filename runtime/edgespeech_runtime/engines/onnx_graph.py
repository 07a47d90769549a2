"""Graphs and bindings of onnxruntime, over sessions that `onnx` opens; onnxruntime is not imported here."""

import json
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy.typing as npt

from ..errors import EdgeSpeechRuntimeError, EngineError
from . import Arrays, Binding, DeviceTensor, ProviderUsage, one_line
from .calls import current
from .onnx_providers import CPU

ResultT = TypeVar("ResultT")

HOST = "cpu"  # what onnxruntime calls the host's memory


class Opener(Protocol):
    """What is needed of the engine."""

    def session(self, file: Path, profile: Path | None = None) -> Any:
        """Open a session of a graph."""
        ...

    def run_options(self) -> Any:
        """Make options of one run."""
        ...

    def value(self, array: npt.NDArray[Any]) -> Any:
        """Make a value of onnxruntime's over the array's memory."""
        ...


def computed(name: str, engine: Opener, run: Callable[[Any], ResultT]) -> ResultT:
    """What a session computes; `run` takes onnxruntime's options of a run, by which it can be stopped meanwhile.

    Raises EngineError, and CancelledError where the call was cancelled.
    """

    def prepare() -> tuple[Callable[[], ResultT], Callable[[], None]]:
        way = engine.run_options()
        return lambda: run(way), lambda: setattr(way, "terminate", True)

    try:
        return current().run(prepare)
    except EdgeSpeechRuntimeError:
        raise
    except Exception as error:  # onnxruntime's share no other base
        raise EngineError(f"onnxruntime failed in {name}: {one_line(error)}") from error


class Graph:
    """One session; onnxruntime lets many threads run it."""

    def __init__(self, file: Path, session: Any, outputs: list[str], engine: Opener) -> None:
        self._file, self._session, self._outputs, self._engine = file, session, outputs, engine

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        given = dict(inputs)
        values = computed(self._file.name, self._engine, lambda way: self._session.run(self._outputs, given, way))
        return dict(zip(self._outputs, values, strict=True))

    def bind(self) -> Binding:
        """Prepare a series of calls."""
        return HostBinding(self._file.name, self._session, self._outputs, self._engine)

    def placement(self, inputs: Arrays) -> list[ProviderUsage]:
        """Nodes and seconds by provider, in the second of two runs of a session of its own."""
        with tempfile.TemporaryDirectory(prefix="edgespeech-") as folder:
            session = self._engine.session(self._file, Path(folder) / "profile")
            try:
                for _ in range(2):
                    session.run(self._outputs, dict(inputs))
                events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
            except Exception as error:
                raise EngineError(f"onnxruntime failed in {self._file.name}: {one_line(error)}") from error
        seconds: dict[tuple[str, str], float] = {}  # by provider and node; later runs overwrite earlier ones
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                seconds[event["args"].get("provider", CPU), event["name"]] = event["dur"] / 1e6
        providers = {provider for provider, _ in seconds}
        shares = [
            ProviderUsage(name, len(times), sum(times))
            for name in providers
            for times in [[value for (provider, _), value in seconds.items() if provider == name]]
        ]
        return sorted(shares, key=lambda share: (-share.seconds, share.provider))


class DeviceGraph(Graph):
    """A session on a device with a memory of its own, where outputs can stay."""

    def __init__(self, file: Path, session: Any, outputs: list[str], engine: Opener, memory: str) -> None:
        """`memory` is what onnxruntime calls it: "cuda"."""
        super().__init__(file, session, outputs, engine)
        self._memory = memory

    def bind(self) -> Binding:
        """Prepare a series of calls."""
        return self.bind_there(())

    def bind_there(self, staying: Collection[str]) -> Binding:
        """Prepare a series of calls whose outputs `staying` remain on the device."""
        memories = {name: self._memory if name in staying else HOST for name in self._outputs}
        return DeviceBinding(self._file.name, self._session, memories, frozenset(staying), self._engine)


class HostBinding:
    """Inputs as onnxruntime's own values over the caller's memory, so that a call converts nothing."""

    def __init__(self, name: str, session: Any, outputs: list[str], engine: Opener) -> None:
        self._name, self._session, self._outputs, self._engine = name, session, outputs, engine
        self._inputs: dict[str, Any] = {}

    def set(self, inputs: Mapping[str, Any]) -> None:
        """Bind arrays to inputs."""
        self._inputs.update((name, self._engine.value(array)) for name, array in inputs.items())

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        run = self._session.run_with_ort_values
        values = computed(self._name, self._engine, lambda way: run(self._outputs, self._inputs, way))
        return {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}


class DeviceBinding:
    """The same where inputs may lie on the device already and outputs may stay there: onnxruntime's "I/O binding"."""

    def __init__(
        self, name: str, session: Any, memories: Mapping[str, str], staying: Collection[str], engine: Opener
    ) -> None:
        """`memories` is where each output is wanted, `staying` those that the caller gets as `DeviceTensor`."""
        self._name, self._session, self._engine = name, session, engine
        self._memories, self._staying = memories, staying
        self._inputs: dict[str, Any] = {}  # by name: values over the caller's arrays, and `DeviceTensor`s

    def set(self, inputs: Mapping[str, Any]) -> None:
        """Bind arrays, or what stayed on the device, to inputs."""
        for name, given in inputs.items():
            self._inputs[name] = given if isinstance(given, DeviceTensor) else self._engine.value(given)

    def run(self) -> dict[str, Any]:
        """All outputs by name."""
        return computed(self._name, self._engine, self._run)

    def _run(self, way: Any) -> dict[str, Any]:
        # One for each call: values that it gives lie in it, and end with it or with its next call.
        binding = self._session.io_binding()
        for name, given in self._inputs.items():  # those of the host are copied to the device here, as they are now
            binding.bind_ortvalue_input(name, given.value if isinstance(given, DeviceTensor) else given)
        for name, memory in self._memories.items():
            binding.bind_output(name, memory)
        self._session.run_with_iobinding(binding, way)
        binding.clear_binding_inputs()  # or outputs that stay would keep them
        values = dict(zip(self._memories, binding.get_outputs(), strict=True))
        owner = (self._session, binding)
        return {
            name: DeviceTensor(tuple(value.shape()), value, owner) if name in self._staying else value.numpy()
            for name, value in values.items()
        }
