"""Channels of the conv stack that differ in size, brought to one size before they share the steps of one range.

A channel is multiplied by its factor where it is quantized, and the weights take the factor back: the same kernels run.
Quiet frames gain most, and behind the stack a norm makes all frames alike. NNCF does this for matrix products alone.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.backend import Utterances, spaced
from edgespeech_calib.quantization.openvino_forms import LEVELS, Learnt
from edgespeech_calib.quantization.openvino_network import SETTINGS, Model, Product, products
from edgespeech_calib.quantization.openvino_nodes import integers
from edgespeech_calib.quantization.options import Ranges

op = openvino.opset13
Peaks = npt.NDArray[np.float64]

LEAST_PEAK = 1e-5  # of a channel, as a share of the largest one's
# Of the factors, around their median; those of trained networks lie within. A layer whose channels differ by more than
# this can even out is for the gate to judge: small weights would lose the steps that small channels win.
SPREAD = 4.0
MOST_UTTERANCES = 32  # evenly spaced in the set


def learn(
    model: Model, learnt: Mapping[str, Learnt], utterances: Utterances, ranges: Ranges | None
) -> dict[str, Learnt]:
    """Return what is learnt of the stack's convolutions, with factors and the ranges that follow.

    Factors are sqrt(weight / activation), both the largest of a channel: SmoothQuant with an alpha of 0.5,
    https://arxiv.org/abs/2211.10438, equation 4; but within `SPREAD`. The end of a range is the mean of the ends in the
    utterances; for "minmax" the outermost. Changes the model.
    """
    stack = [product for product in products(model) if product.name in learnt and _is_of_stack(product)]
    if not stack:
        return {}
    lows, highs = _ends(model, stack, spaced(utterances, MOST_UTTERANCES))
    found = {}
    for product, low, high in zip(stack, lows, highs, strict=True):
        activation = _raised(np.maximum(np.abs(low), np.abs(high)).max(0))
        weight = _raised(np.abs(product.weight).max((0, 2, 3)))
        factors = np.sqrt(weight / activation)
        middle = np.median(factors)
        factors = np.clip(factors, middle / SPREAD, middle * SPREAD)
        inner, outer = (low * factors).min(1), (high * factors).max(1)
        limits = (inner.min(), outer.max()) if ranges == "minmax" else (inner.mean(), outer.mean())
        found[product.name] = replace(
            learnt[product.name],
            ranges=(_with_zero(*map(float, limits)),),
            smooth=factors.astype(np.float32),
            shift=None,
        )
    return found


def _is_of_stack(product: Product) -> bool:
    return product.stage == "features" and product.node.get_type_name() == "Convolution"


def _ends(model: Model, stack: list[Product], utterances: Utterances) -> tuple[list[Peaks], list[Peaks]]:
    """Smallest and largest number of each input channel in each utterance: (utterances, channels) for each product."""
    axes = integers([0, 2, 3], "but_channels")
    nodes = [
        reduce(product.node.input_value(0), axes, False)
        for product in stack
        for reduce in (op.reduce_min, op.reduce_max)
    ]
    part = openvino.Model([op.result(node) for node in nodes], model.get_parameters(), "channels")
    request = openvino.Core().compile_model(part, "CPU", SETTINGS).create_infer_request()
    heard = []
    for values in utterances():
        request.infer({0: values})
        heard.append([np.array(request.get_output_tensor(index).data, np.float64) for index in range(len(nodes))])
    found = [np.stack(peaks) for peaks in zip(*heard, strict=True)]
    return found[::2], found[1::2]


def _raised(peaks: Peaks) -> Peaks:
    """Peaks of channels, none of them nothing."""
    largest = float(peaks.max())
    return np.maximum(peaks, LEAST_PEAK * largest) if largest > 0 else np.ones_like(peaks)


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """The range, with 0 as one of its steps."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return 0.0, 1.0
    steps = LEVELS - 1
    zero = round(-low / (high - low) * steps)
    if zero in (0, steps):
        return (0.0, high) if zero == 0 else (low, 0.0)
    step = max(-low / zero, high / (steps - zero))
    return -zero * step, (steps - zero) * step
