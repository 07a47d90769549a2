"""The graph in the folder `onnx`, where transformers.js and optimum look for one: `onnx/model.onnx`, or quantized.

It is the runtime's graph for utterances of one length, `single`, whose audio these libraries normalise themselves as
the runtime does. All graphs of the bundle read the weights beside it, whose name transformers.js prescribes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from edgespeech_runtime.bundle.contracts import Tensor as TensorSpec
from edgespeech_runtime.bundle.manifest import Graph
from onnx import helper, numpy_helper

from edgespeech.checkpoint import read_json, write_json
from edgespeech.configuration import CONFIG

GRAPH = "hub"  # its name in the manifest
FLOAT_FILE, INT8_FILE = "onnx/model.onnx", "onnx/model_quantized.onnx"
FORMATS = {FLOAT_FILE: "fp32", INT8_FILE: "q8"}  # what transformers.js calls them
SETTINGS = "transformers.js_config"
LOGITS = TensorSpec("logits", "float32", ("batch", "dimensions"))
CLASSIFIER = "classifier"  # the linear layer behind an x-vector

Linear = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def weights_of(file: str) -> str:
    """The weights that transformers.js looks for beside a graph."""
    return f"{file}_data"


def described(config: Path, file: str) -> dict[str, Any]:
    """Return what is in a `config.json`, and which of the files transformers.js is to open with which weights."""
    return {**read_json(config), SETTINGS: {"dtype": FORMATS[file], "use_external_data_format": True}}


def describe(folder: Path, file: str, source: Path | None = None) -> None:
    """Say in `config.json` of a folder what transformers.js is to open; the rest of it comes from folder `source`."""
    write_json(folder / CONFIG, described((source or folder) / CONFIG, file))


def graph_of(
    model: onnx.ModelProto, single: Graph, file: str, classifier: Linear | None
) -> tuple[onnx.ModelProto, Graph]:
    """Return the graph and its entry in the manifest, of the graph `single`, which stays as it is.

    Args:
        model: the graph `single`, whose weights may be in the store already.
        single: its entry in the manifest.
        file: where the graph will be stored.
        classifier: weight (out, in) and bias (out,) of the layer that an x-vector's logits come from.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = single.outputs
    if classifier is not None:
        outputs = (LOGITS, *outputs)
        _classify(copy, single.outputs[0].name, classifier)
    return copy, Graph(file, weights_of(file), single.inputs, outputs)


def classifier_in(model: onnx.ModelProto) -> Linear | None:
    """The layer that `graph_of` added to a graph whose weights are loaded; None where there is none."""
    names = [f"{CLASSIFIER}.{part}" for part in ("weight", "bias")]
    if [output.name for output in model.graph.output][:1] != [LOGITS.name] or len(model.graph.output) < 2:
        return None
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weight, bias = (numpy_helper.to_array(tensors[name]) for name in names)
    return weight, bias


def _classify(model: onnx.ModelProto, embeddings: str, classifier: Linear) -> None:
    names = [f"{CLASSIFIER}.{part}" for part in ("weight", "bias")]
    for name, values in zip(names, classifier, strict=True):
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    node = helper.make_node("Gemm", [embeddings, *names], [LOGITS.name], name="node_speaker_logits", transB=1)
    model.graph.node.append(node)
    size = len(classifier[1])
    batch = model.graph.output[0].type.tensor_type.shape.dim[0].dim_param or LOGITS.axes[0]
    output = helper.make_tensor_value_info(LOGITS.name, onnx.TensorProto.FLOAT, [batch, size])
    model.graph.output.insert(0, output)
