"""What the writer of an engine takes and gives. The writers are the functions `write` of the modules beside this one.

Which engine has which writer is said in `edgespeech.engines`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import onnx
from edgespeech_runtime.bundle.manifest import Graph
from edgespeech_runtime.choices import FloatPrecision

from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.sources.source import Source

Note: TypeAlias = Callable[[str], object]


@dataclass(frozen=True)
class Written:
    """A graph's entry in the manifest, and the ONNX form that it was written from, without weights."""

    graph: Graph
    model: onnx.ModelProto


Writer: TypeAlias = Callable[[Source, Path, FloatPrecision, Note], dict[str, Written]]


def entry(graph: GraphSource, file: str, weights: str, model: onnx.ModelProto) -> Written:
    """Return what is to be said of a graph that was written to `file` over the file `weights`."""
    return Written(Graph(file, weights, graph.inputs, graph.outputs), model)
