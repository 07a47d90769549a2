"""Graphs and bindings of onnxruntime, over sessions that `onnx` opens; onnxruntime is not imported here."""

import json
import tempfile
import threading
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


class OpenSession:
    """The session of a graph's file. It is opened again after a run that was stopped.

    In a process that had run many other models, the run after a stopped one gave NaN for every logit (1.31).
    """

    def __init__(self, file: Path, session: Any, engine: Opener) -> None:
        """`session` is the first one."""
        self.name, self.engine = file.name, engine
        self._file, self._session, self._lock = file, session, threading.Lock()

    def get(self) -> Any:
        """The session to run. Raises EngineError where it cannot be opened again."""
        with self._lock:
            if self._session is None:
                self._session = self.engine.session(self._file)
            return self._session

    def discard(self, session: Any) -> None:
        """The next run gets another one; calls that are running keep theirs."""
        with self._lock:
            if self._session is session:
                self._session = None

    def compute(self, run: Callable[[Any, Any], ResultT]) -> ResultT:
        """What `run` computes of the session and onnxruntime's options of a run, by which it can be stopped meanwhile.

        Raises EngineError, and CancelledError where the call was cancelled.
        """

        def prepare() -> tuple[Callable[[], ResultT], Callable[[], None]]:
            session, way = self.get(), self.engine.run_options()

            def stop() -> None:
                way.terminate = True
                self.discard(session)

            return lambda: run(session, way), stop

        try:
            return current().run(prepare)
        except EdgeSpeechRuntimeError:
            raise
        except Exception as error:  # onnxruntime's share no other base
            raise EngineError(f"onnxruntime failed in {self.name}: {one_line(error)}") from error


class Graph:
    """One session; onnxruntime lets many threads run it."""

    def __init__(self, file: Path, session: Any, outputs: list[str], engine: Opener) -> None:
        self._file, self._outputs, self._engine = file, outputs, engine
        self._session = OpenSession(file, session, engine)

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        given = dict(inputs)
        values = self._session.compute(lambda session, way: session.run(self._outputs, given, way))
        return dict(zip(self._outputs, values, strict=True))

    def bind(self) -> Binding:
        """Prepare a series of calls."""
        return HostBinding(self._session, self._outputs)

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
        return DeviceBinding(self._session, memories, frozenset(staying))


class HostBinding:
    """Inputs as onnxruntime's own values over the caller's memory, so that a call converts nothing.

    From the second call with the same arrays on, outputs come into arrays that stay, and nothing is named again: of a
    small decoder's step that is a tenth.
    """

    def __init__(self, session: OpenSession, outputs: list[str]) -> None:
        self._session, self._outputs = session, outputs
        self._inputs: dict[str, Any] = {}
        self._found: dict[str, npt.NDArray[Any]] | None = None  # outputs of a call with these inputs
        self._bound: tuple[Any, Any] | None = None  # a session, and its binding of these inputs and outputs

    def set(self, inputs: Mapping[str, Any]) -> None:
        """Bind arrays to inputs."""
        self._inputs.update((name, self._session.engine.value(array)) for name, array in inputs.items())
        self._found = self._bound = None  # shapes may be others

    def run(self) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name."""
        return self._session.compute(self._run)

    def _run(self, session: Any, way: Any) -> dict[str, npt.NDArray[Any]]:
        if self._found is None:
            values = session.run_with_ort_values(self._outputs, self._inputs, way)
            self._found = {name: value.numpy() for name, value in zip(self._outputs, values, strict=True)}
            return dict(self._found)
        if self._bound is None or self._bound[0] is not session:
            self._bound = session, self._binding(session, self._found)
        session.run_with_iobinding(self._bound[1], way)
        return dict(self._found)

    def _binding(self, session: Any, outputs: Mapping[str, npt.NDArray[Any]]) -> Any:
        binding = session.io_binding()
        for name, value in self._inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, self._session.engine.value(array))
        return binding


class DeviceBinding:
    """The same where inputs may lie on the device already and outputs may stay there: onnxruntime's "I/O binding"."""

    def __init__(self, session: OpenSession, memories: Mapping[str, str], staying: Collection[str]) -> None:
        """`memories` is where each output is wanted, `staying` those that the caller gets as `DeviceTensor`."""
        self._session, self._memories, self._staying = session, memories, staying
        self._inputs: dict[str, Any] = {}  # by name: values over the caller's arrays, and `DeviceTensor`s

    def set(self, inputs: Mapping[str, Any]) -> None:
        """Bind arrays, or what stayed on the device, to inputs."""
        for name, given in inputs.items():
            self._inputs[name] = given if isinstance(given, DeviceTensor) else self._session.engine.value(given)

    def run(self) -> dict[str, Any]:
        """All outputs by name."""
        return self._session.compute(self._run)

    def _run(self, session: Any, way: Any) -> dict[str, Any]:
        # One for each call: values that it gives lie in it, and end with it or with its next call.
        binding = session.io_binding()
        for name, given in self._inputs.items():  # those of the host are copied to the device here, as they are now
            binding.bind_ortvalue_input(name, given.value if isinstance(given, DeviceTensor) else given)
        for name, memory in self._memories.items():
            binding.bind_output(name, memory)
        session.run_with_iobinding(binding, way)
        binding.clear_binding_inputs()  # or outputs that stay would keep them
        values = dict(zip(self._memories, binding.get_outputs(), strict=True))
        owner = (session, binding)
        return {
            name: DeviceTensor(tuple(value.shape()), value, owner) if name in self._staying else value.numpy()
            for name, value in values.items()
        }
