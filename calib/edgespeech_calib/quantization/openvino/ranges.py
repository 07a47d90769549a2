"""What each layer of an OpenVINO graph needs in integers, learnt from audio: factors on channels, ranges, corrections.

Trained networks have channels, and moments, that are a hundred times as large as the rest. In the steps of one range
nothing would be left of the others. So a channel is multiplied by its factor where it is quantized, and the weights
take the factor back; and ranges reach as far as the calibration speech: to cut off what a few frames are full of costs
these frames. What rounding adds to a channel of the result in the mean is taken from its bias.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.backend import Utterances, spaced
from edgespeech_calib.quantization.openvino.forms import LARGEST, LEVELS, Forms, Learnt
from edgespeech_calib.quantization.openvino.network import SETTINGS, Model, Node, Port, Product, products
from edgespeech_calib.quantization.openvino.nodes import integers
from edgespeech_calib.quantization.openvino.noise import beside
from edgespeech_calib.quantization.options import Types

op = openvino.opset13
Peaks = npt.NDArray[np.float64]

# SmoothQuant's alpha, https://arxiv.org/abs/2211.10438, equation 4: how much of a channel's size goes to its weights.
# Of 0, 0.25, 0.35, 0.5, 0.65, 0.8 and 0.95 the best on a trained network, for nearly all of its layers.
ALPHA = 0.65
LEAST_PEAK = 1e-5  # of a channel, as a share of the largest one's
# The same behind an activation function. There a channel may be silent in all calibration audio and speak in other;
# with less, a range holds a fifth of what a channel says then.
SILENT_PEAK = 0.1
ONE_SIDED = 0.1  # lowest over highest number
MARGIN = 1.25  # by which numbers in other audio may exceed those of calibration; those beyond are cut off
MOST_UTTERANCES = 32  # evenly spaced in the set
CORRECTED_ON = 8  # utterances


@dataclass(frozen=True)
class _Ends:
    """Smallest and largest number of each channel: (channels,)."""

    low: Peaks
    high: Peaks

    @property
    def peaks(self) -> Peaks:
        """Largest magnitude of each channel."""
        return np.maximum(-self.low, self.high)

    @property
    def is_one_sided(self) -> bool:
        """Whether they are those of an activation function that is silent below 0, as GELU nearly is."""
        return bool(-self.low.min() < ONE_SIDED * self.high.max())


def learn(model: Model, utterances: Utterances) -> dict[str, Learnt]:
    """Return factors and ranges of all layers but the mixes of attention, which `openvino_long` knows.

    Layers that take the same activation share its factors. Changes the model.

    Raises:
        QuantizationError: there is no utterance.
    """
    learnable = [product for product in products(model) if not product.is_mix]
    ends = _ends(model, learnable, spaced(utterances, MOST_UTTERANCES)) if learnable else {}
    sharing: dict[tuple[str, int], list[Product]] = {}
    for product in learnable:
        if product.constant is not None:
            sharing.setdefault(_key(product.node.input_value(0)), []).append(product)
    factors = {key: _factors(group, ends[key]) for key, group in sharing.items()}
    learnt = {}
    for product in learnable:
        inputs = [ends[_key(product.node.input_value(port))] for port in product.ports]
        if product.constant is None:
            learnt[product.name] = Learnt(tuple(_around_zero(MARGIN * float(one.peaks.max())) for one in inputs))
        else:
            smooth = factors[_key(product.node.input_value(0))]
            low, high = (inputs[0].low * smooth).min(), (inputs[0].high * smooth).max()
            learnt[product.name] = Learnt((_with_zero(MARGIN * low, MARGIN * high),), smooth.astype(np.float32))
    return learnt


def correct(model: Model, learnt: Mapping[str, Learnt], types: Types, utterances: Utterances) -> dict[str, Learnt]:
    """Return what was learnt, with what each layer's bias has to make good: the mean of the error in each channel.

    By the engine's own kernels, each layer from the float model's input. Changes the model.
    """
    forms = Forms(types)
    corrected = [product for product in products(model) if product.name in learnt and product.constant is not None]
    means = []
    for product in corrected:
        output = product.node.output(0)
        error = op.subtract(output, beside(product, forms, learnt[product.name]))
        means.append(op.reduce_mean(error, _all_but(output, _result_axis(product.node)), False))
    totals, count = [np.zeros(1)] * len(corrected), 0
    for means_here in _observed(model, means, spaced(utterances, CORRECTED_ON)):
        totals, count = [total + mean for total, mean in zip(totals, means_here, strict=True)], count + 1
    shifts = {product.name: mean / max(count, 1) for product, mean in zip(corrected, totals, strict=True)}
    return {
        name: replace(layer, shift=shifts[name].astype(np.float32)) if name in shifts else layer
        for name, layer in learnt.items()
    }


def _ends(model: Model, learnt_products: Sequence[Product], utterances: Utterances) -> dict[tuple[str, int], _Ends]:
    """Ends of all activations, by where they come from; of the factors of attention, those of all numbers."""
    taken: dict[tuple[str, int], list[Node]] = {}
    for product in learnt_products:
        for port in product.ports:
            value = product.node.input_value(port)
            axis = None if product.constant is None else product.channels_axis(value)
            axes = _all_but(value, axis)
            taken.setdefault(_key(value), [op.reduce_min(value, axes, False), op.reduce_max(value, axes, False)])
    nodes = [node for pair in taken.values() for node in pair]
    peaks: list[Peaks] = []
    for observed in _observed(model, nodes, utterances):
        pairs = zip(peaks or observed, observed, strict=True)
        peaks = [(np.maximum if index % 2 else np.minimum)(*pair) for index, pair in enumerate(pairs)]
    if not peaks:
        raise QuantizationError("there is no utterance to calibrate on")
    return {key: _Ends(*pair) for key, pair in zip(taken, zip(peaks[::2], peaks[1::2], strict=True), strict=True)}


def _observed(model: Model, nodes: list[Node], utterances: Utterances) -> Iterator[list[Peaks]]:
    """Values of nodes in each utterance."""
    part = openvino.Model([op.result(node) for node in nodes], model.get_parameters(), "observed")
    request = openvino.Core().compile_model(part, "CPU", SETTINGS).create_infer_request()
    for values in utterances():
        request.infer({0: values})
        yield [np.atleast_1d(np.array(request.get_output_tensor(i).data, np.float64)) for i in range(len(nodes))]


def _factors(group: Sequence[Product], ends: _Ends) -> Peaks:
    activation = _raised(ends.peaks, SILENT_PEAK if ends.is_one_sided else LEAST_PEAK)
    weight = _raised(np.max([product.input_peaks for product in group], axis=0), LEAST_PEAK)
    factors: Peaks = weight ** (1 - ALPHA) / activation**ALPHA
    return factors


def _raised(peaks: Peaks, least: float) -> Peaks:
    """Peaks of channels, none of them less than a share of the largest."""
    largest = float(peaks.max())
    return np.maximum(peaks, least * largest) if largest > 0 else np.ones_like(peaks)


def _key(port: Port) -> tuple[str, int]:
    return port.get_node().friendly_name, port.get_index()


def _result_axis(node: Node) -> int:
    """The axis of a product's result that counts its channels."""
    return -1 if node.get_type_name() == "MatMul" else 1


def _all_but(port: Port, axis: int | None) -> Node:
    """Axes of a port but one; all of them for None."""
    rank = len(port.get_partial_shape())
    return integers([other for other in range(rank) if axis is None or other != axis % rank], "axes")


def _around_zero(peak: float) -> tuple[float, float]:
    """The range of signed integers."""
    peak = peak or 1.0
    return -peak * (LARGEST + 1) / LARGEST, peak


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """The range, with 0 as one of its steps."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    if low == high:
        return 0.0, 1.0
    steps = LEVELS - 1
    zero = round(-low / (high - low) * steps)
    if zero in (0, steps):
        return (0.0, high) if zero == 0 else (low, 0.0)
    step = max(-low / zero, high / (steps - zero))
    return -zero * step, (steps - zero) * step
