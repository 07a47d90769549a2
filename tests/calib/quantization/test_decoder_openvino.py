"""INT8 and INT4 weights of decoders in OpenVINO, against torch with the weights that are in the file."""

import filecmp

import decoder_graphs
import numpy as np
import pytest
import torch
from decoder_graphs import USUAL, copied, decibels, read_weights, run, step
from edgespeech_calib.quantization.openvino.decoder import OpenvinoDecoder
from edgespeech_calib.quantization.options import QuantizationOptions
from edgespeech_calib.quantization.targets import types
from edgespeech_runtime.engines.openvino import openvino

ENGINE = "openvino"  # see `usual`
VNNI, AVX2 = types("x86-vnni", "openvino"), types("x86-avx2", "openvino")
INT4 = QuantizationOptions(decoder_weights="int4")


def stored(folder):
    """All matrices of integers in a graph, with their scales: (kind of number, values, scales spread over them)."""
    model = openvino.Core().read_model(str(folder / "decoder.xml"), str(folder / "decoder.bin"))
    found = []
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Multiply" or node.input_value(0).get_node().get_type_name() != "Convert":
            continue
        constant = node.input_value(0).get_node().input_value(0).get_node()
        if constant.get_type_name() != "Constant" or constant.get_element_type().get_type_name() not in ("i4", "i8"):
            continue
        kind, values = constant.get_element_type().get_type_name(), constant.get_data()
        if kind == "i4":  # two in a byte, the first in its lower half
            values = np.stack((values << 4, values), -1).astype(np.int8) >> 4
        values = values.reshape(constant.get_output_shape(0)).astype(np.float32)
        scales = np.broadcast_to(node.input_value(1).get_node().get_data().astype(np.float32), values.shape)
        rows = node.get_output_shape(0)[0]
        found.append((kind, values.reshape(rows, -1), scales.reshape(rows, -1)))
    return found


def as_stored(decoder, matrices):
    """The decoder with each weight replaced by the nearest one in the file, which must be that weight rounded."""
    decoder = copied(decoder)
    table = decoder.get_input_embeddings()
    weights = [(module, is_plain) for module, is_plain in read_weights(decoder).values()]
    if all(module.weight is not table.weight for module, _ in weights):
        weights.append((table, True))
    kinds = {}
    for module, is_plain in weights:
        weight = (module.weight if is_plain else module.weight.T).numpy()
        near = [entry for entry in matrices if entry[1].shape == weight.shape]
        kind, values, scales = min(near, key=lambda entry: np.abs(entry[1] * entry[2] - weight).max())
        steps = np.abs(values - weight / scales)  # of scales that were rounded to float16
        assert (steps <= np.where(values < values.max(), 0.57, 1.1)).all()  # -128 has no counterpart above 0
        kinds[module] = kind
        rounded = torch.from_numpy(values * scales)
        module.weight.copy_(rounded if is_plain else rounded.T)
    return decoder, kinds


def check(graph, folder, options):
    folder.mkdir()
    backend = OpenvinoDecoder(graph.bundle, options, AVX2)  # which computes with float activations
    written = backend.write(folder)
    found = run(written["decoder"], folder, graph.inputs, "openvino")
    decoder, kinds = as_stored(graph.decoder, stored(folder))
    expected = step(decoder, graph.inputs)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-4 * np.abs(expected[name]).max())
    share = backend.integer_share(folder)
    assert share.floating == ()
    assert 0.5 < share.share < 1
    return found, kinds, decoder


@pytest.mark.parametrize("case", USUAL)
def test_int8_computes_with_the_weights_in_the_file(tmp_path, case):
    graph = decoder_graphs.write(tmp_path / "float", case, "openvino")
    found, kinds, _ = check(graph, tmp_path / "int8", QuantizationOptions())
    assert set(kinds.values()) == {"i8"}
    exact = step(graph.decoder, graph.inputs)
    assert decibels(exact["logits"], found["logits"]) > 30
    # With activations in 8 bits too, where the engine takes that for faster.
    (tmp_path / "both").mkdir()
    written = OpenvinoDecoder(graph.bundle, QuantizationOptions(), VNNI).write(tmp_path / "both")
    both = run(written["decoder"], tmp_path / "both", graph.inputs, "openvino")
    assert decibels(exact["logits"], both["logits"]) > 28


def test_int4_is_for_layers_whose_rows_divide_and_never_for_the_head(tmp_path):
    graph = decoder_graphs.write(tmp_path / "float", "mbart", "openvino")
    found, kinds, decoder = check(graph, tmp_path / "int4", INT4)
    head, table = decoder.get_output_embeddings(), decoder.get_input_embeddings()
    assert {kind for module, kind in kinds.items() if module not in (head, table)} == {"i4"}
    assert kinds[head] == kinds[table] == "i8"
    assert decibels(step(graph.decoder, graph.inputs)["logits"], found["logits"]) > 10


@pytest.mark.parametrize("case", ["bert", "gpt2", "bart"])
def test_layers_in_float_are_not_rounded_and_are_named(tmp_path, case):
    graph = decoder_graphs.write(tmp_path / "float", case, "openvino")
    backend = OpenvinoDecoder(graph.bundle, QuantizationOptions(), VNNI)
    assert [layer.kind for layer in backend.layers].count("table") == (case == "bert")  # the others' head is tied to it
    every = frozenset(layer.name for layer in backend.layers)
    head = next(layer.name for layer in backend.layers[::-1] if layer.kind == "linear")
    for name, floating in (("all", every), ("head", frozenset({head}))):
        (tmp_path / name).mkdir()
        written = backend.write(tmp_path / name, floating)
    exact = step(graph.decoder, graph.inputs)
    found = run(written["decoder"], tmp_path / "all", graph.inputs, "openvino")
    for name, values in found.items():
        np.testing.assert_allclose(values, exact[name], rtol=0, atol=1e-5 * np.abs(exact[name]).max())
    share = backend.integer_share(tmp_path / "all")
    assert (share.integer_macs, set(share.floating) - every) == (0, set())
    assert backend.integer_share(tmp_path / "head").floating == (head,)


@pytest.mark.parametrize("options", [QuantizationOptions(), INT4], ids=["int8", "int4"])
def test_the_same_graph_gives_the_same_bytes(tmp_path, options):
    graph = decoder_graphs.write(tmp_path / "float", "mbart", "openvino")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        OpenvinoDecoder(graph.bundle, options, VNNI).write(tmp_path / name)
    files = ["decoder.bin", "decoder.xml"]
    assert filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", files, shallow=False) == (files, [], [])


def test_a_layer_of_weights_too_small_for_the_scales_stays_float(tmp_path):
    graph = decoder_graphs.write(tmp_path / "float", "mbart", "openvino")
    decoder = copied(graph.decoder)
    exact = step(decoder, graph.inputs)
    small = decoder.model.decoder.layers[0].fc1
    model = openvino.Core().read_model(str(tmp_path / "float" / "decoder.xml"))
    constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    (weight,) = [node for node in constants if node.get_friendly_name().endswith("layers.0.fc1.weight")]
    weight_name = weight.get_friendly_name()
    factor = 2.0**-16
    tiny = openvino.opset13.constant(small.weight.numpy() * np.float32(factor), name=weight_name)
    for port in weight.output(0).get_target_inputs():
        port.replace_source_output(tiny.output(0))
    (tmp_path / "tiny").mkdir()
    openvino.save_model(model, tmp_path / "tiny" / "decoder.xml", compress_to_fp16=False)
    small.weight.mul_(factor)
    bundle = type(graph.bundle)(tmp_path / "tiny", graph.bundle.manifest)
    (tmp_path / "int8").mkdir()
    backend = OpenvinoDecoder(bundle, QuantizationOptions(), AVX2)
    written = backend.write(tmp_path / "int8")
    found = run(written["decoder"], tmp_path / "int8", graph.inputs, "openvino")
    assert decibels(step(decoder, graph.inputs)["logits"], found["logits"]) > 30
    assert decibels(step(decoder, graph.inputs)["logits"], exact["logits"]) < 30
    assert len(backend.integer_share(tmp_path / "int8").floating) == 1
