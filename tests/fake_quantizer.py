"""A backend for the front of quantization, over the tone bundles: "quantized" is what it says, and the damage is known.

Each layer that is not in float adds its damage to the kernel that hears the tones, as noise of that size. It calibrates
on nothing and keeps what it was given.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tone_bundles
from edgespeech_calib.quantization.backend import IntegerShare
from edgespeech_calib.quantization.search.layers import Layer
from edgespeech_runtime.bundle.manifest import Graph
from onnx import numpy_helper

LAYERS = (
    Layer("features.0", "convolution", "features", 40),
    Layer("features.1", "convolution", "features", 160),
    Layer("layers.0.q_proj", "linear", "transformer", 100),
    Layer("layers.0.out_proj", "linear", "transformer", 100),
    Layer("layers.0.scores", "attention", "transformer", 50),
    Layer("lm_head", "linear", "head", 550),
)
CLEAN = 40.0  # dB
HARMLESS = 0.0005  # noise in the kernel over its own size
TERRIBLE = 20.0  # more than the tones themselves


class FakeEncoder:
    """`damage` by layer: noise in the kernel over its own size; `noise` by layer in dB; both for those not ordinary.

    It measures the damage if `measures` is set.
    """

    def __init__(
        self,
        damage: Mapping[str, float],
        noise: Mapping[str, float],
        share: float | None = None,
        measures: bool = False,
    ) -> None:
        self.layers = LAYERS
        self._damage, self._noise, self._share, self._measures = damage, noise, share, measures
        self.measured: list[np.ndarray] = []
        self.calibrated: list[np.ndarray] = []
        self.written: list[frozenset[str]] = []

    def calibrate(self, utterances: Callable[[], Iterator[np.ndarray]], note: Callable[[str], None]) -> None:
        note("calibrating, the only pass")
        self.calibrated = list(utterances())

    def noise(self, utterances: Callable[[], Iterator[np.ndarray]]) -> dict[str, float]:
        assert all(values.ndim == 2 for values in utterances())
        return {layer.name: self._noise.get(layer.name, CLEAN) for layer in LAYERS}

    def damage(self, utterances: Callable[[], Iterator[np.ndarray]]) -> dict[str, float]:
        self.measured = list(utterances())
        return {x.name: self._damage.get(x.name, HARMLESS) ** 2 for x in LAYERS} if self._measures else {}

    def write(self, folder: Path, floating: frozenset[str]) -> dict[str, Graph]:
        self.written.append(floating)
        graphs = tone_bundles.write_onnx(folder)
        for name in ("single", "batch"):
            (folder / f"{name}.onnx").rename(folder / f"{name}.int8.onnx")
            add_noise(folder / f"{name}.int8.onnx", LAYERS, floating, self._damage)
        (folder / "weights.data").unlink()
        return {name: Graph(f"{name}.int8.onnx", None, graph.inputs, graph.outputs) for name, graph in graphs.items()}

    def integer_share(self, folder: Path, values: np.ndarray) -> IntegerShare:
        total = sum(layer.macs for layer in LAYERS)
        whole = sum(layer.macs for layer in LAYERS if layer.name not in self.written[-1])
        return IntegerShare(whole if self._share is None else int(self._share * total), total)


class FakeDecoder:
    """Adds the damage of two layers more to what the encoder has written."""

    layers = (Layer("decoder.0.fc", "linear", "head", 60), Layer("decoder.1.fc", "linear", "head", 40))

    def __init__(self, damage: Mapping[str, float]) -> None:
        self._damage = damage
        self._whole = 0

    def write(self, folder: Path, floating: frozenset[str] = frozenset()) -> dict[str, Graph]:
        for name in ("single", "batch"):
            add_noise(folder / f"{name}.int8.onnx", self.layers, floating, self._damage)
        self._whole = sum(layer.macs for layer in self.layers if layer.name not in floating)
        return {}

    def integer_share(self, folder: Path) -> IntegerShare:
        return IntegerShare(self._whole, 100)


def add_noise(path: Path, layers: Sequence[Layer], floating: frozenset[str], damage: Mapping[str, float]) -> None:
    """Add the damage of layers that are not in float to the kernel of a graph."""
    model = onnx.load(path)
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "kernel")
    values = numpy_helper.to_array(kernel).copy()
    for index, layer in enumerate(layers):
        if layer.name not in floating:
            scale = damage.get(layer.name, HARMLESS) * np.sqrt(np.mean(values**2))
            values += scale * np.random.default_rng(index).standard_normal(values.shape)
    kernel.CopyFrom(numpy_helper.from_array(values.astype(np.float32), "kernel"))
    onnx.save(model, path)


def install(monkeypatch: Any, **options: Any) -> list[FakeEncoder]:
    """Put the fake in place of the ONNX backend, with a decoder if `decoder` is its damage; returns those opened."""
    from edgespeech_calib.quantization import backends

    opened: list[FakeEncoder] = []

    def open_encoder(bundle: Any, quantization_options: Any, types: Any) -> FakeEncoder:
        known = (options.get(name, {}) for name in ("damage", "noise"))
        opened.append(FakeEncoder(*known, options.get("share"), options.get("measures", False)))
        return opened[-1]

    monkeypatch.setattr(backends, "open_encoder", open_encoder)
    decoder = FakeDecoder(options["decoder"]) if "decoder" in options else None
    monkeypatch.setattr(backends, "open_decoder", lambda *given: decoder)
    monkeypatch.setattr(backends, "require", lambda engine: None)
    return opened


class Copying(FakeEncoder):
    """Says of any ONNX bundle's float graphs that they are INT8."""

    def __init__(self, bundle: Any) -> None:
        super().__init__({}, {"features.0": 9.0})
        self._bundle = bundle

    def write(self, folder: Path, floating: frozenset[str]) -> dict[str, Graph]:
        self.written.append(floating)
        graphs: dict[str, Graph] = self._bundle.manifest.graphs
        for name in {file for graph in graphs.values() for file in (graph.file, graph.weights) if file}:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(self._bundle.path(name), folder / name)
        return dict(graphs)


class CopyingDecoder:
    """The same for the graph "decoder", which the other has written."""

    layers: tuple[Layer, ...] = ()

    def write(self, folder: Path, floating: frozenset[str] = frozenset()) -> dict[str, Graph]:
        return {}

    def integer_share(self, folder: Path) -> IntegerShare:
        return IntegerShare(80, 100)


def install_copying(monkeypatch: Any) -> None:
    """Put those in place of all backends."""
    from edgespeech_calib.quantization import backends

    def open_decoder(bundle: Any, options: Any, types: Any) -> CopyingDecoder | None:
        return None if bundle.manifest.decoder is None else CopyingDecoder()

    monkeypatch.setattr(backends, "open_encoder", lambda bundle, options, types: Copying(bundle))
    monkeypatch.setattr(backends, "open_decoder", open_decoder)
    monkeypatch.setattr(backends, "require", lambda engine: None)
