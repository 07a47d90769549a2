"""What each layer does to the answers if it alone is in INT8, measured where it counts: in what the graph gives.

The noise in a layer's own output says little of that: of layers with equal noise, one can put five hundred times as
much into the logits as another. One graph holds each layer both ways, and an input says which of them is quantized, so
that a session is opened once.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from edgespeech_runtime.bundle.contracts import LOGITS, VALUES
from onnx import TensorProto, helper

from edgespeech_calib.quantization.backend import Utterances, Values
from edgespeech_calib.quantization.onnx.forms import Forms
from edgespeech_calib.quantization.onnx.network import Network, Product
from edgespeech_calib.quantization.onnx.session import over_weights

LAYER = "quantized_layer"  # the input
NONE = -1


def damage(network: Network, products: Sequence[Product], forms: Forms, utterances: Utterances) -> dict[str, float]:
    """Return the power of the noise that each layer alone puts into the outputs, over that of the outputs, by its name.

    Outputs of several kinds, as what each layer of a decoder attends to, count alike. `forms` write into their own
    writer, which must be empty.
    """
    names = list(dict.fromkeys(product.name for product in products))
    session = over_weights(_switched(network, products, forms, names), network.folder)
    powers = dict.fromkeys(names, 0.0)
    total = 0
    for values in utterances():
        exact = _run(session, values, NONE)
        total += len(exact)
        for index, name in enumerate(names):
            noisy = _run(session, values, index)
            powers[name] += sum(_noise(before, after) for before, after in zip(exact, noisy, strict=True))
    return {name: noise / max(total, 1) if math.isfinite(noise) else math.inf for name, noise in powers.items()}


def _switched(network: Network, products: Sequence[Product], forms: Forms, names: Sequence[str]) -> onnx.ModelProto:
    """The graph with each layer in both forms, the quantized one in use where `LAYER` is its place in `names`."""
    writer, indices = forms.writer, {name: index for index, name in enumerate(names)}
    by_output = {product.output: product for product in products}
    for node in network.nodes:
        product = by_output.get(node.output[0])
        if product is None:
            writer.keep(node)
            continue
        output = product.output
        exact = writer.copy(node, list(node.input), f"{output}_float")
        forms.write(product, f"{output}_quantized")
        chosen = writer.add("Equal", [LAYER, writer.integer(indices[product.name])])
        writer.add("Where", [chosen, f"{output}_quantized", exact], output)
    model = writer.model(network)
    model.graph.input.append(helper.make_tensor_value_info(LAYER, TensorProto.INT64, []))
    return model


def _run(session: Any, values: Values, layer: int) -> list[Any]:
    """All outputs; of logits what softmax sees."""
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {VALUES.name: values.astype(np.float32), LAYER: np.array(layer, np.int64)})
    pairs = zip(names, (values.astype(np.float64) for values in outputs), strict=True)
    return [x - x.mean(-1, keepdims=True) if name == LOGITS.name else x for name, x in pairs]


def _noise(exact: Any, noisy: Any) -> float:
    signal = float(np.square(exact).sum())
    return float(np.square(noisy - exact).sum()) / signal if signal else 0.0
