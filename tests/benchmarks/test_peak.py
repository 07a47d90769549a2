"""Operations of an encoder counted against a sum by hand, and shares of the machine's products."""

from math import prod

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks.peak.__main__ import fastest, main
from benchmarks.peak.operations import operations, products_of
from benchmarks.peak.products import ATTENTION, Product, factors, of_heads, onnx_attention, onnx_product, product
from benchmarks.timing import Timing
from benchmarks.workload import SIZES, TOKENS, write_checkpoint

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)


def test_operations_are_those_of_the_shapes(tmp_path):
    write_checkpoint(tmp_path, "tiny")
    tiny = SIZES["tiny"]
    width, inner, layers = tiny["hidden_size"], tiny["intermediate_size"], tiny["num_hidden_layers"]
    samples = frames = 16000
    products, channels = 0, 1
    for kernel, stride, out in zip(KERNELS, STRIDES, tiny["conv_dim"], strict=True):
        frames = (frames - kernel) // stride + 1
        products += frames * kernel * channels * out
        channels = out
    taps, groups = tiny["num_conv_pos_embeddings"], tiny["num_conv_pos_embedding_groups"]
    products += (
        frames * channels * width + (frames + 1) * taps * width * width // groups
    )  # an even kernel gives one more
    products += layers * frames * (4 * width * width + 2 * width * inner) + frames * width * len(TOKENS)
    found = operations(tmp_path, samples)
    assert found.layers == 2 * products
    assert found.attention == 2 * layers * 2 * frames * frames * width
    assert found.total == found.layers + found.attention
    assert found.unsized == 0
    assert 2 * sum(prod(shape) * count for shape, count in found.in_attention.items()) == found.attention
    assert found.sizes[frames, width, inner] == layers


def test_a_long_convolution_is_products_of_blocks():
    layer = torch.nn.Conv1d(4, 6, 3, groups=2)
    found = products_of(layer, layer(torch.zeros(1, 4, 2502)))  # 2500 frames
    assert found == {(1024, 6, 3): 4, (452, 6, 3): 2}


def test_the_fastest_product_of_an_engine_counts():
    products = [Product("onnxruntime", "int8", (1, 1, size), lambda: None, 10**9) for size in (1, 2)]
    timings = {products[0].title: Timing((2.0, 0.5)), products[1].title: Timing((1.0, 0.25, 4.0))}
    assert fastest(products, timings) == {("onnxruntime", "int8"): 4.0}


def test_a_product_of_integers_is_computed():
    shape = (3, 4, 5)
    left, right = factors(shape)
    expected = (left.astype(np.int64) - 128) @ right * 0.01 * 0.01
    (found,) = onnx_product(shape, "int8", 1, 1)()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_product_of_heads_is_computed():
    shape = (2, 3, 4, 5)
    left, right = of_heads(shape)
    (found,) = onnx_attention(shape, "float32", 1, 1)()
    np.testing.assert_allclose(found.numpy(), left @ right, rtol=1e-5)
    for engine in ATTENTION:
        once = product(engine, "int8", shape, 1)
        once.call()
        assert once.operations == 2 * prod(shape)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--cpu", "--threads", "2"], "is for one thread"), (["/nowhere"], "does not exist")],
)
def test_what_cannot_be_measured_is_refused(tmp_path, arguments, said):
    result = CliRunner().invoke(main, ["--checkpoint", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert said in result.output
