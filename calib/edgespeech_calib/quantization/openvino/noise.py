"""The noise of each layer if it alone is quantized, computed in the graph beside the float layer, by real kernels."""

import numpy as np
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.backend import Utterances
from edgespeech_calib.quantization.openvino.forms import Forms, Learnt
from edgespeech_calib.quantization.openvino.network import ATTENTION, SETTINGS, Model, Node, Port, Product, products
from edgespeech_calib.quantization.options import Types

op = openvino.opset13
LEAST_NOISE = 1e-30  # of the signal: a ratio of 300 dB stands for no noise at all


def noise(model: Model, learnt: dict[str, Learnt], types: Types, utterances: Utterances) -> dict[str, float]:
    """Return each layer's signal-to-quantization-noise ratio in dB, its float input given. Changes the model.

    No layer takes in another's noise. Only two sums of each leave the graph.
    """
    forms = Forms(types)
    names, results = [], []
    for product in products(model):
        if product.name not in learnt:
            continue
        output = product.node.output(0)
        difference = op.subtract(output, beside(product, forms, learnt[product.name]))
        results += [_power(output, product.node), _power(difference.output(0), product.node)]
        names.append(product.name)
    model.add_results([op.result(node) for node in results])
    powers = np.zeros((len(names), 2))
    compiled = openvino.Core().compile_model(model, "CPU", SETTINGS)
    request, first = compiled.create_infer_request(), len(model.outputs) - len(results)
    for values in utterances():
        request.infer({0: values})
        outputs = [float(request.get_output_tensor(first + index).data) for index in range(len(results))]
        powers += np.reshape(outputs, (-1, 2))
    signal = dict.fromkeys(names, 0.0)
    wrong = dict(signal)
    for name, (power, error) in zip(names, powers, strict=True):
        signal[name] += power
        wrong[name] += error
    return {name: decibels(signal[name], wrong[name]) for name in signal}


def beside(product: Product, forms: Forms, learnt: Learnt) -> Port:
    """Return the quantized product, made beside the float one; what corrects its bias counts to it."""
    output_node = forms.result(product, learnt, _again(product.node, forms.inputs(product, learnt)))
    if learnt.shift is None:
        return output_node.output(0)
    rank = len(output_node.get_output_partial_shape(0))
    shape = [-1] if product.node.get_type_name() == "MatMul" else [1, -1, *[1] * (rank - 2)]
    return op.add(output_node, op.constant(learnt.shift.reshape(shape))).output(0)


def _again(node: Node, inputs: dict[int, Port]) -> Node:
    settings, kind = node.get_attributes(), node.get_type_name()
    values = [inputs.get(index, value) for index, value in enumerate(node.input_values())]
    if kind == "MatMul":
        return op.matmul(*values, settings["transpose_a"], settings["transpose_b"])
    if kind == ATTENTION:
        return op.scaled_dot_product_attention(*values, causal=settings["causal"])
    convolve = op.convolution if kind == "Convolution" else op.group_convolution
    return convolve(*values, settings["strides"], settings["pads_begin"], settings["pads_end"], settings["dilations"])


def _power(port: Port, node: Node) -> Node:
    axes = op.constant(np.arange(len(node.get_output_partial_shape(0)), dtype=np.int64))
    return op.reduce_sum(op.multiply(port, port), axes, keep_dims=False)


def decibels(signal: float, wrong: float) -> float:
    """Ratio of two powers; -inf where one of them is not finite."""
    if not np.isfinite(signal) or not np.isfinite(wrong):
        return float("-inf")
    if signal <= 0:
        return 300.0 if wrong <= 0 else -300.0
    return float(10 * np.log10(signal / max(wrong, signal * LEAST_NOISE)))
