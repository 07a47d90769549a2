"""The graphs of a bundle: those that the task requires are loaded at once, any other when it is first run."""

import contextlib
import threading
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.folder import Bundle
from ..bundle.manifest import Graph as Spec
from ..errors import EngineError
from . import Arrays, Binding, DeviceGraph, Engine, Graph, ProviderUsage
from .forks import keep_for_ever, watch


class Graphs:
    """Runs the bundle's graphs by name. Many threads may use one of these."""

    def __init__(self, bundle: Bundle, engine: Engine, examples: Mapping[str, Arrays]) -> None:
        """`examples` are inputs for each graph, of an ordinary shape: what a graph is first run on.

        OpenVINO 2026.4 fixes its kernels on the first call. Were that call one of a single frame, all longer ones
        after it would come out wrong. Graphs of fixed shapes have no other, and are not run before they are needed.
        """
        self._bundle, self._engine, self._examples = bundle, engine, examples
        self._loaded: dict[str, Graph] = {}
        self._lock = threading.Lock()
        self._is_open = self._is_closed = self._is_foreign = False
        opened = [self._graph(name) for name in bundle.manifest.opened]
        self._is_open = True
        watch(self)
        self._has_own_memory = all(isinstance(graph, DeviceGraph) for graph in opened)

    def __contains__(self, name: str) -> bool:
        return name in self._bundle.manifest.graphs

    @property
    def streams(self) -> int:
        """How many batches are to run at the same time."""
        return self._engine.streams

    def run(self, name: str, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """Run the graph `name`: inputs are converted to the manifest's types, outputs come as float32."""
        outputs = self._graph(name).run(self._converted(name, inputs))
        return {key: np.asarray(value, np.float32) for key, value in outputs.items()}

    def run_on_device(self, name: str, inputs: Arrays) -> dict[str, Any]:
        """The same, but outputs stay where they are computed: as `DeviceTensor` on a device with its own memory."""
        if not self.can_stay(name):
            return self.run(name, inputs)
        binding = self.bind(name, staying=[tensor.name for tensor in self._bundle.manifest.graphs[name].outputs])
        binding.set(self._converted(name, inputs))
        return binding.run()

    def can_stay(self, name: str) -> bool:
        """Whether the bundle has this graph, and the engine a device where outputs can stay."""
        return name in self and self._has_own_memory

    def bind(self, name: str, staying: Collection[str] = ()) -> Binding:
        """Prepare a series of calls of the graph `name`; outputs `staying` remain on the device: see `can_stay`."""
        graph = self._graph(name)
        return graph.bind_there(staying) if isinstance(graph, DeviceGraph) else graph.bind()

    def placement(self) -> dict[str, list[ProviderUsage]]:
        """What ran where in each graph that is loaded, on its example."""
        for name in self._loaded:
            self._bundle.check(*self._files(name))  # which are read once more
        return {name: graph.placement(self._examples[name]) for name, graph in self._loaded.items()}

    def close(self) -> None:
        """Let go of the engine's memory; running a graph afterwards is an EngineError."""
        with self._lock:
            self._is_closed = True
            self._loaded.clear()

    def unload(self) -> None:
        """Let go of the engine's memory; each graph is loaded again when it is run."""
        with self._lock:
            self._loaded.clear()

    def after_fork(self) -> None:
        """In a forked process: graphs are loaded again, by an engine that is started anew, when they are run."""
        self._lock = threading.Lock()
        if not self._engine.survives_forks:
            keep_for_ever((self._engine, self._loaded))
            self._loaded, self._is_foreign = {}, True

    def _files(self, name: str) -> list[str]:
        """The files of a graph: those that any device may read."""
        spec = self._bundle.manifest.graphs[name]
        return [file for file in (spec.file, spec.weights, *(each.file for each in spec.compiled)) if file]

    def _converted(self, name: str, inputs: Arrays) -> Arrays:
        types = {tensor.name: tensor.dtype for tensor in self._bundle.manifest.graphs[name].inputs}
        return {key: np.ascontiguousarray(value, types[key]) for key, value in inputs.items()}

    def _graph(self, name: str) -> Graph:
        if graph := self._loaded.get(name):  # without waiting for another graph that is being loaded
            self._bundle.check_in_use(*self._files(name))
            return graph
        with self._lock:
            if self._is_closed:
                raise EngineError("the model is closed: load it again")
            if self._is_foreign:
                self._engine, self._is_foreign = self._engine.again(), False
            if name not in self._loaded:
                spec = self._bundle.manifest.graphs[name]
                if self._is_open:  # or they have been checked a moment ago
                    self._bundle.check(*self._files(name))
                graph = self._compiled(spec) or self._portable(spec)
                self._bundle.check_opened(*self._files(name))
                if self._bundle.manifest.static is None:
                    graph.run(self._examples[name])
                self._loaded[name] = graph
            return self._loaded[name]

    def _compiled(self, spec: Spec) -> Graph | None:
        """The graph as it was compiled beforehand for this device; None where it was not, or the device refuses it."""
        device = self._engine.device
        for each in spec.compiled:
            if (each.device, each.library) == (device.name, device.library):
                with contextlib.suppress(EngineError):
                    return self._engine.load(self._bundle.path(each.file), None, spec.inputs, spec.outputs)
        return None

    def _portable(self, spec: Spec) -> Graph:
        weights = self._bundle.path(spec.weights) if spec.weights else None
        files = self._bundle.manifest.files
        identity = "".join(files[part].sha256 for part in (spec.file, spec.weights) if part)
        return self._engine.load(self._bundle.path(spec.file), weights, spec.inputs, spec.outputs, identity)
