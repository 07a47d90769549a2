"""What the graphs of fixed shapes are given while a model runs on calibration speech: kept, to take ranges from.

An engine is wrapped, not the model: so the inputs are exactly those of real use.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.bundle.contracts import Tensor
from edgespeech_runtime.bundle.folder import Bundle
from edgespeech_runtime.engines import Arrays, Binding, Device, Engine, Graph, ProviderUsage
from edgespeech_runtime.engines.devices import open_engine
from edgespeech_runtime.tasks import TASKS

from edgespeech_calib.quantization.calibration import Calibration

MOST_STEPS = 48  # calls of a decoder's graph that are kept; an utterance gives those after 1, 2, 4, 8... tokens
BEAMS = 4  # for every other utterance, so that both graphs of a decoder run
FILL = (1.0, 0.5, 0.75, 0.0)  # how far between the bucket below and its own length an utterance reaches

Feeds = list[dict[str, npt.NDArray[Any]]]
Waveform = npt.NDArray[np.float32]


class RecordingEngine:
    """An engine that keeps what its graphs are given, by the names of their files."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.device: Device = engine.device
        self.precision, self.survives_forks, self.streams = engine.precision, engine.survives_forks, engine.streams
        self.feeds: dict[str, Feeds] = defaultdict(list)

    def load(
        self, file: Path, weights: Path | None, inputs: Sequence[Tensor], outputs: Sequence[Tensor], identity: str = ""
    ) -> Graph:
        """Load a graph that is watched."""
        return _Recording(self._engine.load(file, weights, inputs, outputs, identity), self.feeds[file.name])

    def again(self) -> Engine:
        """The same, started anew."""
        return RecordingEngine(self._engine.again())


class _Recording:
    def __init__(self, graph: Graph, feeds: Feeds) -> None:
        self._graph, self._feeds = graph, feeds

    def run(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        self._feeds.append({name: np.array(array) for name, array in inputs.items()})
        return self._graph.run(inputs)

    def bind(self) -> Binding:
        return _RecordingBinding(self._graph.bind(), self._feeds)

    def placement(self, inputs: Arrays) -> list[ProviderUsage]:
        return self._graph.placement(inputs)


class _RecordingBinding:
    def __init__(self, binding: Binding, feeds: Feeds) -> None:
        self._binding, self._feeds = binding, feeds
        self._inputs: dict[str, npt.NDArray[Any]] = {}
        self._calls = 0

    def set(self, inputs: Arrays) -> None:
        self._inputs.update(inputs)
        self._binding.set(inputs)

    def run(self) -> dict[str, npt.NDArray[Any]]:
        self._calls += 1
        if self._calls & (self._calls - 1) == 0 and len(self._feeds) < MOST_STEPS:
            fixed = {name: array for name, array in self._inputs.items() if name.startswith("cross.")}  # never change
            self._feeds.append({**{name: np.array(array) for name, array in self._inputs.items()}, **fixed})
        return self._binding.run()


def record(bundle: Bundle, drawn: Calibration) -> dict[str, Feeds]:
    """Return what each graph of a float bundle is given, by the graph's name, while it runs on the excerpts.

    Each bucket takes utterances of all lengths that come to it; excerpts that are too short for one are joined.
    """
    engine = RecordingEngine(open_engine(bundle.manifest.engine, "cpu", None))
    static = bundle.manifest.static
    buckets = () if static is None else static.buckets
    with TASKS[bundle.manifest.task](bundle, engine) as model:
        for below, bucket in zip((0, *buckets), buckets, strict=False):
            for index, waveform in enumerate(_utterances(drawn, below, bucket)):
                model.predict(waveform, with_logits=False, **model.search_options(BEAMS if index % 2 else 1))
    return {name: engine.feeds[graph.file] for name, graph in bundle.manifest.graphs.items()}


def _utterances(drawn: Calibration, below: int, bucket: int) -> Iterator[Waveform]:
    """One for each excerpt, of more than `below` and at most `bucket` samples."""
    shortest = max(below + 1, drawn.audio.shortest)
    for index in range(len(drawn)):
        length = shortest + int((bucket - shortest) * FILL[index % len(FILL)])
        waveform, following = drawn.excerpts[index].read(), index
        while len(waveform) < length:
            following = (following + 1) % len(drawn)
            waveform = np.concatenate((waveform, drawn.excerpts[following].read()))
        yield waveform[:length]
