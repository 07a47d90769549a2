"""What is measured on the float graph while it runs: shapes, ranges of activations, the noise of quantized layers.

All of it is computed inside the graph, so that no activation leaves it whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from edgespeech.choices import Ranges
from edgespeech_calib.quantization.backend import Utterances, Values
from edgespeech_calib.quantization.onnx.equalise import Factors, equalised
from edgespeech_calib.quantization.onnx.forms import EQUALISED, Forms, LayerRanges
from edgespeech_calib.quantization.onnx.frames import FRAMES, divided, has_frames
from edgespeech_calib.quantization.onnx.network import Network, Product
from edgespeech_calib.quantization.onnx.ranges import Observer
from edgespeech_calib.quantization.onnx.session import over_weights, run
from edgespeech_calib.quantization.onnx.writer import GraphWriter

SAMPLE = 8192  # values of an activation that enter its histogram, about, for an utterance of the probe's length
# Steps between them: primes, so that they do not keep to some of the channels.
STEPS = (1, 2, 3, 5, 11, 23, 47, 97, 197, 397, 797, 1597, 3203, 6421)
LEAST_NOISE = 1e-30  # of the signal: a ratio of 300 dB stands for no noise at all


def shapes(network: Network, names: Iterable[str], values: Values) -> dict[str, tuple[int, ...]]:
    """Return the shapes that activations have for an utterance."""
    writer = _copy(network)
    outputs = {name: writer.add("Shape", [name], f"{name}_shape_seen") for name in dict.fromkeys(names)}
    session = over_weights(writer.model(network, list(outputs.values())), network.folder)
    tensors = run(session, values)
    return {name: tuple(map(int, tensors[output])) for name, output in outputs.items()}


class RangeFinder:
    """Observes what goes into layers, and what comes out of those whose result is quantized too.

    Args:
        sizes: shapes of the activations for the probe; from them follows how sparsely each is sampled.
        method: "minmax" takes the extremes of all values, the others sample them.
        factors: of layers whose input is equalised; layers that share an activation share them.
    """

    def __init__(
        self,
        network: Network,
        products: Sequence[Product],
        sizes: Mapping[str, tuple[int, ...]],
        method: Ranges,
        factors: Factors,
    ) -> None:
        self._network, self._products, self._method = network, products, method
        self._steps = {name: _step(prod(sizes[name])) for name in observed(products)}
        self._equalised = {product.source: product for product in products if product.name in factors}
        self._factors = factors
        self._frames = {product.source: product for product in products if has_frames(product, network)}
        self._observers = {self._name(name): Observer() for name in self._steps}

    def observe(self, utterances: Utterances) -> int:
        """Run all utterances; returns how many there were."""
        writer, seen = _copy(self._network), 0
        outputs = [output for activation in self._steps for output in self._tap(writer, activation)]
        session = over_weights(writer.model(self._network, outputs), self._network.folder)
        for values in utterances():
            seen += 1
            tensors = run(session, values)
            for name, observer in self._observers.items():
                sample = tensors.get(f"{name}_sample")
                ends = (tensors[f"{name}_low"], tensors[f"{name}_high"]) if sample is None else _ends(sample)
                if np.isfinite(ends).all():
                    observer.see(float(ends[0]), float(ends[1]), sample)
        return seen

    def ranges(self) -> dict[str, LayerRanges]:
        """Return the ranges of each layer by its name."""
        by_layer: dict[str, LayerRanges] = {}
        for product in self._products:
            output = None
            if product.kind == "positional":
                output = self._observers[product.output].range(self._method)
            ranges = LayerRanges(self._observers[self._name(product.source)].range(self._method), output)
            by_layer[product.name] = by_layer[product.name] | ranges if product.name in by_layer else ranges
        return by_layer

    def _name(self, activation: str) -> str:
        if activation in self._frames:
            return activation + FRAMES
        return activation + EQUALISED if activation in self._equalised else activation

    def _tap(self, writer: GraphWriter, activation: str) -> list[str]:
        name = self._name(activation)
        if activation in self._frames:
            divided(writer, self._frames[activation])
        elif activation in self._equalised:
            product = self._equalised[activation]
            equalised(writer, self._network, product, self._factors[product.name], name)
        if self._method == "minmax":
            return [
                writer.add("ReduceMin", [name], f"{name}_low", keepdims=0),
                writer.add("ReduceMax", [name], f"{name}_high", keepdims=0),
            ]
        flat = writer.add("Reshape", [name, writer.integers(-1)])
        first, last, axis = writer.integers(0), writer.integers(2**62), writer.integers(0)
        step = writer.integers(self._steps[activation])
        return [writer.add("Slice", [flat, first, last, axis, step], f"{name}_sample")]


def _ends(values: Any) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def observed(products: Iterable[Product]) -> list[str]:
    """Return the activations whose ranges layers need, each once."""
    names = dict.fromkeys(product.source for product in products)
    names.update(dict.fromkeys(product.output for product in products if product.kind == "positional"))
    return list(names)


def noise(network: Network, products: Sequence[Product], forms: Forms, utterances: Utterances) -> dict[str, float]:
    """Return each layer's signal-to-quantization-noise ratio in dB.

    Each takes in the float activation: no layer takes in another's noise. It is computed both ways side by side, by the
    kernels that will compute it. `forms` write into their own writer, which must be empty.
    """
    writer = forms.writer
    for node in network.nodes:
        writer.keep(node)
    outputs = []
    for product in products:
        quantized = f"{product.output}_quantized"
        forms.write(product, quantized)
        difference = writer.add("Sub", [product.output, quantized])
        outputs.append(writer.add("ReduceSumSquare", [product.output], f"{product.output}_signal", keepdims=0))
        outputs.append(writer.add("ReduceSumSquare", [difference], f"{product.output}_noise", keepdims=0))
    powers = _sums(network, writer, outputs, utterances)
    signal: dict[str, float] = dict.fromkeys((product.name for product in products), 0.0)
    noise_of = dict(signal)
    for product in products:
        signal[product.name] += powers[f"{product.output}_signal"]
        noise_of[product.name] += powers[f"{product.output}_noise"]
    return {name: _decibels(signal[name], noise_of[name]) for name in signal}


def _sums(network: Network, writer: GraphWriter, outputs: list[str], utterances: Utterances) -> dict[str, float]:
    sums = dict.fromkeys(outputs, 0.0)
    session = over_weights(writer.model(network, outputs), network.folder)
    for values in utterances():
        for name, value in run(session, values).items():
            sums[name] += float(value)
    return sums


def _decibels(signal: float, noise: float) -> float:
    if not np.isfinite(signal) or not np.isfinite(noise):
        return float("-inf")
    if signal <= 0:
        return 300.0 if noise <= 0 else -300.0
    return float(10 * np.log10(signal / max(noise, signal * LEAST_NOISE)))


def _copy(network: Network) -> GraphWriter:
    writer = GraphWriter()
    for node in network.nodes:
        writer.keep(node)
    return writer


def _step(size: int) -> int:
    return next((step for step in STEPS if size <= step * SAMPLE), STEPS[-1])


def macs(product: Product, network: Network, output: tuple[int, ...]) -> int:
    """Multiply-accumulates of a layer whose result has this shape."""
    shape: Any = network.shape(product.weight)
    return prod(output) * prod(shape) // shape[product.out_axis]
