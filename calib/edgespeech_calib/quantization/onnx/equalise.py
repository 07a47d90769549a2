"""Equalisation before linear layers that follow a layer norm: channels of an activation share one range on equal terms.

Each channel is divided by a factor, and the rows of the weights that take it in are multiplied by it: exact in float.
The factors are those of SmoothQuant, https://arxiv.org/abs/2211.10438, with half of the burden moved to the weights. A
layer norm takes up the division in its own weight and bias; where its result goes elsewhere too, it is computed twice,
which costs next to nothing. It is done where it lowers the noise, by measurement on some calibration audio.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgespeech_calib.quantization.backend import Utterances
from edgespeech_calib.quantization.onnx.network import Network, Product, channel_peaks
from edgespeech_calib.quantization.onnx.ranges import Range, scale_and_zero
from edgespeech_calib.quantization.onnx.session import over_weights, run
from edgespeech_calib.quantization.onnx.writer import GraphWriter
from edgespeech_calib.quantization.options import Types

Floats: TypeAlias = npt.NDArray[np.float32]
Factors: TypeAlias = Mapping[str, Floats]  # by the layer's name, one for each channel of its input

NORM = "LayerNormalization"
UTTERANCES = 4
FRAMES = 64  # of each, evenly spread
WORTH = 1.0  # dB


def find(network: Network, products: Sequence[Product], types: Types, utterances: Utterances) -> dict[str, Floats]:
    """Return the factors of all layers that gain by them."""
    groups = _groups(network, products)
    if not groups:
        return {}
    seen = _activations(network, list(groups), utterances)
    chosen: dict[str, Floats] = {}
    for source, members in groups.items():
        if source not in seen:
            continue
        weights = np.concatenate([network.matrix(product) for product in members], axis=1)
        factors = smoothing(seen[source], weights)
        gain = _ratio(seen[source] / factors, weights * factors[:, None], types) - _ratio(seen[source], weights, types)
        if gain >= WORTH:
            chosen.update((product.name, factors) for product in members)
    return chosen


def smoothing(activations: Floats, weights: Floats) -> Floats:
    """Factors that leave each channel's activation and its row of the weights with equal peaks, up to a constant.

    Activations are (frames, channels), weights (channels, out).
    """
    high, low = np.abs(activations).max(0), channel_peaks(weights, 0)
    live = (high > 0) & (low > 0)
    factors = np.ones(len(high), np.float32)
    factors[live] = np.sqrt(high[live] / low[live])
    if live.any():
        factors[live] /= np.exp(np.log(factors[live]).mean())
    return factors


def equalised(writer: GraphWriter, network: Network, product: Product, factors: Floats, output: str) -> str:
    """Write what goes into a layer with its channels divided by the factors, in its layer norm if it comes from one."""
    source, node = product.source, network.producers.get(product.source)
    if node is None or node.op_type != NORM or not all(name in network.initializers for name in node.input[1:]):
        inverse = 1 / factors if product.kind == "linear" else 1 / factors[:, None]  # channels of a Conv come first
        return writer.add("Mul", [source, writer.constant(inverse, f"{output}_factors")], output)
    parts = [
        writer.constant((network.constant(name) / factors).astype(np.float32), f"{output}_{part}")
        for name, part in zip(node.input[1:], ("scale", "shift"), strict=False)
    ]
    return writer.copy(node, [node.input[0], *parts], output)


def _groups(network: Network, products: Sequence[Product]) -> dict[str, list[Product]]:
    """Linear layers by the layer norm's result that they share; none that stands in the graph more than once."""
    groups = defaultdict(list)
    uses = Counter(product.name for product in products)
    for product in products:
        node = network.producers.get(product.source)
        is_after_norm = node is not None and node.op_type == NORM
        if product.kind == "linear" and is_after_norm and uses[product.name] == 1:
            groups[product.source].append(product)
    return dict(groups)


def _activations(network: Network, names: list[str], utterances: Utterances) -> dict[str, Floats]:
    """Frames of some utterances, (frames, channels)."""
    writer = GraphWriter()
    for node in network.nodes:
        writer.keep(node)
    seen: dict[str, list[Floats]] = defaultdict(list)
    session = over_weights(writer.model(network, names), network.folder)
    for values in islice(utterances(), UTTERANCES):
        for name, activation in run(session, values).items():
            frames = activation.reshape(-1, activation.shape[-1])
            seen[name].append(frames[:: max(1, len(frames) // FRAMES)][:FRAMES])
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def _ratio(activations: Floats, weights: Floats, types: Types) -> float:
    """Signal to noise of a product with rounded factors, in dB."""
    scale, zero = scale_and_zero(Range(float(activations.min()), float(activations.max())), types)
    low = np.iinfo(zero.dtype).min
    steps = np.clip(np.rint(activations / scale) + zero, low, low + 255)
    limit = 63 if types.reduce_range else 127
    unit = np.maximum(channel_peaks(weights, 1), np.finfo(np.float32).tiny) / limit
    exact = activations @ weights
    rough = ((steps - zero) * scale).astype(np.float32) @ (np.rint(weights / unit) * unit).astype(np.float32)
    noise = float(np.square(exact - rough).sum())
    return float(10 * np.log10(max(float(np.square(exact).sum()), 1e-30) / max(noise, 1e-30)))
