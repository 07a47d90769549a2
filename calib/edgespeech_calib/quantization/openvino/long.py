"""Long audio, and what the second product of each attention needs on it: short audio does not show that.

Weights of attention become smaller the more frames they are spread over, but not all in proportion.
"""

from collections.abc import Iterator

import numpy as np
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.backend import Utterances, Values
from edgespeech_calib.quantization.openvino.attention import frames
from edgespeech_calib.quantization.openvino.forms import LARGEST, Learnt
from edgespeech_calib.quantization.openvino.network import SETTINGS, Model, products
from edgespeech_calib.quantization.openvino.nodes import integers

op = openvino.opset13

FRAMES = 1500  # 30 s of speech, about as long as the utterances are that models are trained on
UTTERANCES = 2
LEAST_PEAK = 1e-6
MARGIN = 1.5  # by which weights in other audio may exceed those of calibration; those beyond are cut off


def long_audio(utterances: Utterances, hop: int) -> list[Values]:
    """Return long utterances of others, one behind the other, and repeated from the first where they are too short.

    A frame is `hop` samples.
    """
    results = []
    endless = _again_and_again(utterances)
    for _ in range(UTTERANCES):
        parts, missing = [], FRAMES * hop
        while missing > 0:
            parts.append(next(endless)[:, :missing])
            missing -= parts[-1].shape[1]
        results.append(np.concatenate(parts, axis=1))
    return results


def _again_and_again(utterances: Utterances) -> Iterator[Values]:
    while True:
        yield from utterances()


def learn(model: Model, utterances: list[Values]) -> dict[str, Learnt]:
    """Return what is learnt of the product of weights and values in each attention. Changes the model.

    That is the range of the values, and of each head the largest weight times the number of frames.
    """
    mixes = [product for product in products(model) if product.is_mix]
    if not mixes:
        return {}
    by_head, all_axes = integers([0, 2, 3], "by_head"), integers([0, 1, 2, 3], "all_axes")
    results = []
    for product in mixes:
        weights, values = product.node.input_values()
        shares = op.multiply(weights, frames(product, product.name))
        results += [op.reduce_max(shares, by_head, True), op.reduce_max(op.absolute(values), all_axes)]
    model.add_results([op.result(node) for node in results])
    request = openvino.Core().compile_model(model, "CPU", SETTINGS).create_infer_request()
    first = len(model.outputs) - len(results)
    peaks = [np.array(LEAST_PEAK, np.float32)] * len(results)
    for values in utterances:
        request.infer({0: values})
        outputs = [np.array(request.get_output_tensor(first + index).data) for index in range(len(results))]
        peaks = [np.maximum(peak, new) for peak, new in zip(peaks, outputs, strict=True)]
    learnt = {}
    for product, shares, peak in zip(mixes, peaks[::2], peaks[1::2], strict=True):
        limits = (-float(peak) * (LARGEST + 1) / LARGEST, float(peak))
        learnt[product.name] = Learnt(((0.0, 1.0), limits), peaks=np.ceil(MARGIN * shares))
    return learnt
