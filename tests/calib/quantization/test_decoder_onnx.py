"""INT8 and INT4 weights of decoders in ONNX, against torch with weights and activations rounded by formula."""

import filecmp

import decoder_graphs
import numpy as np
import onnx
import pytest
import torch
from decoder_graphs import USUAL, copied, decibels, read_weights, run, step
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.onnx.decoder import OnnxDecoder
from edgespeech_calib.quantization.options import QuantizationOptions
from edgespeech_calib.quantization.targets import types
from edgespeech_calib.quantization.text_decoder.blocks import INT4, INT7, INT8, block_size, quantize

VNNI, AVX2 = types("x86-vnni", "onnx"), types("x86-avx2", "onnx")
SIZES = {20: 16, 24: 16, 32: 32, 36: 16, 40: 16, 48: 16, 64: 64}  # columns to columns of a block


def scales_of(blocks, bits, limit):
    """(..., columns of a block) -> its scale."""
    if bits == 8:
        return np.abs(blocks).max(-1) / np.float32(limit)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)[..., 0]
    tried = np.stack([-largest / np.float32(span) for span in (7, 7.7, 8, 8.5, 9)])
    errors = [np.square(rounded(blocks, scales, -8, 7) - blocks).sum(-1) for scales in tried]
    return np.take_along_axis(tried, np.argmin(errors, 0)[None], 0)[0]


def rounded(blocks, scales, low, high):
    scales = np.where(scales == 0, 1, scales)[..., None]
    return np.clip(np.rint(blocks / scales), low, high) * scales


def in_blocks(matrix, size, bits=8, limit=127):
    """Round a matrix (rows, columns) to integers with a scale for each block of a row."""
    rows, columns = matrix.shape
    padded = np.pad(np.asarray(matrix), ((0, 0), (0, -columns % size))).reshape(rows, -1, size)
    low, high = (-limit, limit) if bits == 8 else (-8, 7)
    return rounded(padded, scales_of(padded, bits, limit), low, high).reshape(rows, -1)[:, :columns]


def expected_of(decoder, bits=8, limit=127):
    """A decoder in torch that computes as the quantized graph is to: weights and inputs of products rounded."""
    decoder = copied(decoder)
    head, table = decoder.get_output_embeddings(), decoder.get_input_embeddings()
    if head.weight is not table.weight:
        table.weight.copy_(torch.from_numpy(in_blocks(table.weight, SIZES[table.weight.shape[1]], 8, limit)))
    for module, is_plain in read_weights(decoder).values():
        weight = module.weight if is_plain else module.weight.T
        stored = 8 if module is head else bits
        size = SIZES[weight.shape[1]] if stored == 8 else min(SIZES[weight.shape[1]], 32)
        values = torch.from_numpy(in_blocks(weight, size, stored, limit))
        module.weight.copy_(values if is_plain else values.T)
        module.register_forward_pre_hook(
            lambda module, given, size=size: torch.from_numpy(in_blocks(given[0].flatten(0, -2), size)).view_as(
                given[0]
            )
        )
    return decoder


def check(graph, folder, options, number_types, bits, limit):
    backend = OnnxDecoder(graph.bundle, options, number_types)
    written = backend.write(folder)
    found = run(written["decoder"], folder, graph.inputs, "onnx")
    exact, expected = step(graph.decoder, graph.inputs), step(expected_of(graph.decoder, bits, limit), graph.inputs)
    assert found.keys() == exact.keys()
    for name, values in found.items():
        assert values.shape == exact[name].shape
        if name.startswith("new.0."):  # before anything that was rounded has an effect
            np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-5 * np.abs(expected[name]).max())
        # Later, where an activation lies between two integers, the last bit of float32 decides, and an error of one
        # step goes on. It remains far below the sum of all roundings.
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=0.02 * np.abs(expected[name]).max())
        assert decibels(expected[name], values) > decibels(exact[name], values) + 3
    share = backend.integer_share(folder)
    assert share.floating == ()
    assert 0.5 < share.share < 1
    return found, exact


@pytest.mark.parametrize("case", USUAL)
def test_int8_is_what_the_formula_says(tmp_path, case):
    graph = decoder_graphs.write(tmp_path / "float", case, "onnx")
    (tmp_path / "int8").mkdir()
    found, exact = check(graph, tmp_path / "int8", QuantizationOptions(), VNNI, 8, 127)
    assert decibels(exact["logits"], found["logits"]) > 30


@pytest.mark.parametrize("case", ["bert", "gpt2", "bart"])
def test_int4_is_what_the_formula_says_and_the_head_is_int8(tmp_path, case):
    graph = decoder_graphs.write(tmp_path / "float", case, "onnx")
    (tmp_path / "int4").mkdir()
    found, exact = check(graph, tmp_path / "int4", QuantizationOptions(decoder_weights="int4"), VNNI, 4, 127)
    assert decibels(exact["logits"], found["logits"]) > 10


@pytest.mark.parametrize("case", ["bert", "gpt2"])
def test_without_vnni_weights_have_7_bits_and_are_1_to_127(tmp_path, case):
    graph = decoder_graphs.write(tmp_path / "float", case, "onnx")
    (tmp_path / "int8").mkdir()
    check(graph, tmp_path / "int8", QuantizationOptions(), AVX2, 8, 63)
    stored = onnx.load(tmp_path / "int8" / "decoder.onnx").graph.initializer
    bytes_found = [onnx.numpy_helper.to_array(tensor) for tensor in stored if tensor.name.endswith("int8")]
    assert bytes_found
    assert all(1 <= values.min() <= values.max() <= 127 for values in bytes_found)


@pytest.mark.parametrize("case", ["bert", "gpt2", "bart"])
def test_with_all_layers_in_float_nothing_is_rounded(tmp_path, case):
    graph = decoder_graphs.write(tmp_path / "float", case, "onnx")
    (tmp_path / "int8").mkdir()
    backend = OnnxDecoder(graph.bundle, QuantizationOptions(), VNNI)
    written = backend.write(tmp_path / "int8", frozenset(layer.name for layer in backend.layers))
    found, exact = run(written["decoder"], tmp_path / "int8", graph.inputs, "onnx"), step(graph.decoder, graph.inputs)
    for name, values in found.items():
        np.testing.assert_allclose(values, exact[name], rtol=0, atol=1e-5 * np.abs(exact[name]).max())
    assert backend.integer_share(tmp_path / "int8").integer_macs == 0


def test_a_layer_in_float_leaves_the_product_of_the_others_and_keeps_its_factor(tmp_path):
    graph = decoder_graphs.write(tmp_path / "float", "bart", "onnx")
    backend = OnnxDecoder(graph.bundle, QuantizationOptions(), VNNI)
    attention = "decoder.model.decoder.layers.0.self_attn"
    found = {}
    for name, floating in (("whole", frozenset[str]()), ("part", frozenset({f"{attention}.q_proj"}))):
        (tmp_path / name).mkdir()
        written = backend.write(tmp_path / name, floating)
        found[name] = run(written["decoder"], tmp_path / name, graph.inputs, "onnx")
    nodes = onnx.load(tmp_path / "part" / "decoder.onnx", load_external_data=False).graph.node
    products = [node.name for node in nodes if node.op_type == "MatMulNBits"]
    assert sorted(products[0].split("+")) == [f"{attention}.{letter}_proj" for letter in "kv"]
    assert len([node for node in nodes if node.op_type == "Gemm"]) == 1
    assert len([node for node in nodes if node.op_type == "Mul"]) == 2  # of the embeddings, and of the queries
    exact = step(graph.decoder, graph.inputs)["logits"]
    assert decibels(exact, found["part"]["logits"]) > 30
    assert np.abs(found["part"]["logits"] - found["whole"]["logits"]).max() > 0
    shares = [backend.integer_share(tmp_path / name).share for name in ("part", "whole")]
    assert 0.5 < shares[0] < shares[1]


def test_layers_are_named_and_a_tied_head_is_one_with_its_table(tmp_path):
    kinds = {}
    for case in ("bart", "bert"):
        graph = decoder_graphs.write(tmp_path / case, case, "onnx")
        kinds[case] = [layer.kind for layer in OnnxDecoder(graph.bundle, QuantizationOptions(), VNNI).layers]
    assert (kinds["bart"].count("table"), kinds["bert"].count("table")) == (0, 1)
    assert OnnxDecoder(graph.bundle, QuantizationOptions(decoder_weights="int4"), VNNI).layers == ()


def test_what_is_multiplied_by_the_same_is_one_product_and_no_factor_is_left(tmp_path):
    graph = decoder_graphs.write(tmp_path / "float", "bart", "onnx")
    (tmp_path / "int8").mkdir()
    OnnxDecoder(graph.bundle, QuantizationOptions(), VNNI).write(tmp_path / "int8")
    nodes = onnx.load(tmp_path / "int8" / "decoder.onnx", load_external_data=False).graph.node
    products = [node.name for node in nodes if node.op_type == "MatMulNBits"]
    layers = 2
    assert len(products) == 6 * layers + 1
    attention = "decoder.model.decoder.layers.0.self_attn"
    assert sorted(products[0].split("+")) == [f"{attention}.{letter}_proj" for letter in "kqv"]
    assert not [node for node in nodes if node.op_type == "Gemm"]
    assert len([node for node in nodes if node.op_type == "Mul"]) == 1  # of the embeddings


@pytest.mark.parametrize(("case", "copies"), [("bart", 1), ("bert", 2)])
def test_a_tied_table_is_stored_once(tmp_path, case, copies):
    graph = decoder_graphs.write(tmp_path / "float", case, "onnx")
    (tmp_path / "int8").mkdir()
    OnnxDecoder(graph.bundle, QuantizationOptions(), VNNI).write(tmp_path / "int8")
    model = onnx.load(tmp_path / "int8" / "decoder.onnx", load_external_data=False)
    tables = {
        fact.value
        for node in model.graph.node
        if node.op_type == "GatherBlockQuantized" or node.name.endswith(("predictions.decoder", "lm_head"))
        for tensor in model.graph.initializer
        if tensor.name in node.input and tensor.name.endswith("int8")
        for fact in tensor.external_data
        if fact.key == "offset"
    }
    assert len(tables) == copies


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_the_same_graph_gives_the_same_bytes(tmp_path, weights):
    graph = decoder_graphs.write(tmp_path / "float", "gpt2", "onnx")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        OnnxDecoder(graph.bundle, QuantizationOptions(decoder_weights=weights), VNNI).write(tmp_path / name)
    files = ["decoder.onnx", "weights.data"]
    assert filecmp.cmpfiles(tmp_path / "first", tmp_path / "second", files, shallow=False) == (files, [], [])


def test_a_graph_without_layers_is_refused(tmp_path):
    graph = decoder_graphs.write(tmp_path / "float", "gpt2", "onnx")
    model = onnx.load(tmp_path / "float" / "decoder.onnx")
    for node in model.graph.node:
        if node.op_type == "Gemm":
            node.op_type = "Other"
    onnx.save(model, tmp_path / "float" / "decoder.onnx")
    with pytest.raises(QuantizationError, match="holds no layer whose weights could be quantized"):
        OnnxDecoder(graph.bundle, QuantizationOptions(), VNNI)


@pytest.mark.parametrize(
    ("columns", "most", "size"),
    [(768, 128, 128), (1024, 128, 128), (800, 128, 64), (64, 128, 64), (24, 128, 16), (5, 128, 16), (3072, 32, 32)],
)
def test_blocks_divide_rows_or_pad_them_by_little(columns, most, size):
    assert block_size(columns, most) == size


@pytest.mark.parametrize("scheme", [INT8, INT7, INT4])
def test_a_block_of_zeros_stays_zero_and_tiny_numbers_do_not_overflow(scheme):
    matrix = np.zeros((3, 40), np.float32)
    matrix[1, 3] = 1e-45
    matrix[2, ::7] = [-1e30, 1e30, 3e29, 0, 5, -2e29]
    blocks = quantize(matrix, scheme)
    assert np.isfinite(blocks.scales).all()
    integers = blocks.integers
    if scheme.bits == 4:
        integers = np.stack((integers & 15, integers >> 4), -1).reshape(*integers.shape[:2], -1)
    values = (integers.astype(np.float32) - scheme.zero) * blocks.scales[..., None]
    values = values.reshape(3, -1)
    assert not values[:2].any()
    assert np.abs(values[2, :40] - matrix[2]).max() <= np.abs(blocks.scales[2]).max() * 0.51
    assert not values[:, 40:].any()


def test_four_bits_are_closer_than_plain_rounding():
    matrix = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
    blocks = quantize(matrix, INT4)
    integers = np.stack((blocks.integers & 15, blocks.integers >> 4), -1).reshape(64, -1, 32).astype(np.float32)
    found = ((integers - 8) * blocks.scales[..., None]).reshape(64, 96)
    parts = matrix.reshape(64, -1, 32)
    plain = rounded(parts, np.abs(parts).max(-1) / 7, -7, 7).reshape(64, 96)
    assert decibels(matrix, found) > decibels(matrix, plain) + 1
