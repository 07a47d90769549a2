"""What an exported graph is made of: single operators, nothing left over, one set of weights."""

import json
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest
from kinds import KINDS
from onnx import external_data_helper


def graph(case: Any, name: str) -> onnx.ModelProto:
    return onnx.load(case.bundle / name, load_external_data=False)


@pytest.mark.parametrize("kind", KINDS)
def test_the_single_graph_has_no_arithmetic_on_shapes_and_no_masks(case_of: Any, kind: str) -> None:
    case = case_of(kind, "onnx")
    found = Counter(node.op_type for node in graph(case, "single.onnx").graph.node)
    leftovers = {"Shape", "Gather", "Concat", "Expand", "Range", "Where", "IsNaN", "Cast", "Div", "Erf"}
    assert not leftovers & found.keys()
    config = case.model.config
    is_depthwise = config.num_conv_pos_embedding_groups == config.hidden_size
    assert found["Squeeze"] == is_depthwise  # its positional convolution goes over an image of one row
    assert found["Softmax"] == case.model.config.num_hidden_layers


@pytest.mark.parametrize("name", ["single.onnx", "batch.onnx"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_matrix_is_called_after_its_parameter(case_of: Any, kind: str, name: str) -> None:
    case = case_of(kind, "onnx")
    model = graph(case, name)
    matrices = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) > 1 and min(tensor.dims) > 1}
    folded = {path.replace("parametrizations.weight.original1", "weight") for path in case.model.state_dict()}
    parameters = {f"model.{path}" for path in folded}
    assert matrices <= parameters
    assert len(matrices) > 6 * case.model.config.num_hidden_layers


def test_layer_norm_and_gelu_are_single_operators(case_of: Any) -> None:
    case = case_of("wav2vec2-group", "onnx")
    found = Counter(node.op_type for node in graph(case, "single.onnx").graph.node)
    config = case.model.config
    assert found["LayerNormalization"] == 2 + 2 * config.num_hidden_layers
    assert found["Gelu"] == len(config.conv_dim) + 1 + config.num_hidden_layers
    assert found["InstanceNormalization"] == 1
    assert not {"ReduceMean", "Sqrt", "Pow", "Tanh", "Reciprocal"} & found.keys()


def test_axes_carry_the_names_of_the_contract(case_of: Any) -> None:
    model = graph(case_of("wav2vec2-group", "onnx"), "batch.onnx")
    axes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert axes == {
        "input_values": ["batch", "samples"],
        "input_lengths": ["batch"],
        "logits": ["batch", "frames", 32],
    }


def test_onnx_graphs_share_one_file_of_weights(case_of: Any) -> None:
    case = case_of("wav2vec2-group", "onnx")
    for name in ("single.onnx", "batch.onnx", "window.onnx", "model.onnx", "onnx/model.onnx"):
        external = [t for t in graph(case, name).graph.initializer if external_data_helper.uses_external_data(t)]
        places = {external_data_helper.ExternalDataInfo(t).location for t in external}
        assert places == {"model.onnx_data" if "/" in name else "onnx/model.onnx_data"}
        assert (case.bundle / name).stat().st_size < 60_000
    size = 4 * sum(p.numel() for p in case.model.parameters())
    assert (case.bundle / "onnx" / "model.onnx_data").stat().st_size < 1.1 * size
    assert not list(case.bundle.glob("*.data"))


def test_openvino_graphs_share_one_file_of_weights(case_of: Any) -> None:
    case = case_of("wav2vec2-group", "openvino")
    assert [path.name for path in case.bundle.glob("*.bin")] == ["openvino_model.bin"]
    size = 4 * sum(p.numel() for p in case.model.parameters())
    assert (case.bundle / "openvino_model.bin").stat().st_size < 1.1 * size
    for name in ("openvino_model.xml", "openvino_batch.xml", "window.xml"):
        ends = [
            int(data.attrib["offset"]) + int(data.attrib["size"])
            for data in ElementTree.parse(case.bundle / name).iterfind("./layers/layer[@type='Const']/data")
        ]
        assert max(ends) <= (case.bundle / "openvino_model.bin").stat().st_size


def test_the_report_holds_what_was_measured(case_of: Any) -> None:
    case = case_of("wav2vec2-group", "onnx")
    manifest = json.loads((case.bundle / "edgespeech.json").read_text())
    parity = manifest["report"]["parity"]
    assert 0 < parity["single"] <= parity["tolerance"] == 1e-4
    assert 0 < parity["batch"] <= parity["tolerance"]
    assert 0 < parity["float32"] < 1e-5
    assert parity["same_tokens"]
    assert min(parity["frames"]) == 1
    assert manifest["report"]["operators"]["single"]["Softmax"] == 2
    assert len(manifest["provenance"]["checkpoint_sha256"]) == 64
