"""What each layer in integers does to the outputs of an OpenVINO graph, it alone quantized.

A layer's own noise says little of that: of two layers with the same, one can do a hundred times the damage. One graph
holds every layer in both forms, and a switch for each says which one the next layers take, so that it is compiled once.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from edgespeech_runtime.engines.openvino import openvino

from edgespeech_calib.quantization.backend import Utterances
from edgespeech_calib.quantization.openvino.forms import Forms, Learnt
from edgespeech_calib.quantization.openvino.network import SETTINGS, Model, products
from edgespeech_calib.quantization.openvino.nodes import integers
from edgespeech_calib.quantization.openvino.noise import beside
from edgespeech_calib.quantization.options import Types

op = openvino.opset13
Values = npt.NDArray[np.float64]


def damage(model: Model, learnt: Mapping[str, Learnt], types: Types, utterances: Utterances) -> dict[str, float]:
    """Return the power of the noise that each layer puts into the outputs, over that of the outputs without their mean.

    Of several outputs it is the mean. Changes the model.
    """
    inputs = len(model.inputs)
    names = _with_switches(model, learnt, types)
    request = openvino.Core().compile_model(model, "CPU", SETTINGS).create_infer_request()

    def run(values: npt.NDArray[np.float32], name: str | None) -> list[Values]:
        request.infer({0: values, inputs: np.array([name == one for one in names], np.float32)})
        return [np.array(request.get_output_tensor(i).data, np.float64) for i in range(len(model.outputs))]

    damages: dict[str, list[float]] = {name: [] for name in names}
    for values in utterances():
        exact = run(values, None)
        powers = [max(float(np.square(output - output.mean()).sum()), np.finfo(np.float64).tiny) for output in exact]
        for name in names:
            errors = [float(np.square(a - b).sum()) for a, b in zip(run(values, name), exact, strict=True)]
            damages[name].append(float(np.mean(np.divide(errors, powers))))
    return {name: float(np.mean(ratios)) for name, ratios in damages.items()}


def _with_switches(model: Model, learnt: Mapping[str, Learnt], types: Types) -> list[str]:
    """Give a graph one more input, a number for each layer: 1 for its form in integers, 0 for float; their names."""
    learnt_products = [product for product in products(model) if product.name in learnt]
    names = list(dict.fromkeys(product.name for product in learnt_products))
    switches, forms = op.parameter([len(names)], np.float32, name="switches"), Forms(types)
    for product in learnt_products:
        output = product.node.output(0)
        takers = list(output.get_target_inputs())
        switch = op.gather(switches, integers(names.index(product.name), "place"), integers(0, "axis"))
        error = op.subtract(output, beside(product, forms, learnt[product.name]))
        chosen = op.subtract(output, op.multiply(error, switch)).output(0)
        for taker in takers:
            taker.replace_source_output(chosen)
    model.add_parameters([switches])
    model.validate_nodes_and_infer_types()
    return names
