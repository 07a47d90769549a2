"""The graphs of a bundle: those that the task requires are loaded at once, any other when it is first run."""

import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .bundle import Bundle
from .engines import Arrays, Binding, Engine, Graph, Share
from .errors import EngineError


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
        self._is_closed = False
        for name in bundle.manifest.opened:
            self._graph(name)

    def __contains__(self, name: str) -> bool:
        return name in self._bundle.manifest.graphs

    def run(self, name: str, inputs: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """Run the graph `name`: inputs are converted to the manifest's types, outputs come as float32."""
        types = {tensor.name: tensor.dtype for tensor in self._bundle.manifest.graphs[name].inputs}
        given = {key: np.ascontiguousarray(value, types[key]) for key, value in inputs.items()}
        return {key: np.asarray(value, np.float32) for key, value in self._graph(name).run(given).items()}

    def bind(self, name: str) -> Binding:
        """Prepare a series of calls of the graph `name`."""
        return self._graph(name).bind()

    def placement(self) -> dict[str, list[Share]]:
        """What ran where in each graph that is loaded, on its example."""
        return {name: graph.placement(self._examples[name]) for name, graph in self._loaded.items()}

    def close(self) -> None:
        """Let go of the engine's memory; running a graph afterwards is an EngineError."""
        with self._lock:
            self._is_closed = True
            self._loaded.clear()

    def _graph(self, name: str) -> Graph:
        if graph := self._loaded.get(name):  # without waiting for another graph that is being loaded
            return graph
        with self._lock:
            if self._is_closed:
                raise EngineError("the model is closed: load it again")
            if name not in self._loaded:
                spec = self._bundle.manifest.graphs[name]
                weights = self._bundle.path(spec.weights) if spec.weights else None
                file = self._bundle.path(spec.file)
                files = self._bundle.manifest.files
                identity = "".join(files[part].sha256 for part in (spec.file, spec.weights) if part)
                graph = self._engine.load(file, weights, spec.inputs, spec.outputs, identity)
                if self._bundle.manifest.static is None:
                    graph.run(self._examples[name])
                self._loaded[name] = graph
            return self._loaded[name]
