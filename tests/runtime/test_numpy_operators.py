"""The operators of the numpy engine, each against onnx's reference implementation, or against torch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers.numpy import Archive, to_program
from edgespeech_runtime.bundle.contracts import Tensor
from edgespeech_runtime.engines.numpy import Engine
from edgespeech_runtime.engines.numpy_operators import OPERATORS, linear, normalisation, shapes
from edgespeech_runtime.engines.numpy_operators.activations import erf, gelu, softmax
from edgespeech_runtime.engines.numpy_operators.workers import Workers
from edgespeech_runtime.errors import EngineError
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

OPSET = 20
THREADS = Workers(3)
RNG = np.random.default_rng(11)
LARGE = 100_000  # elements: more than a block, and no multiple of one


def floats(*sizes: int) -> np.ndarray:
    return np.asarray(2 * RNG.standard_normal(sizes), np.float32)


def positive(*sizes: int) -> np.ndarray:
    return np.abs(floats(*sizes)) + np.float32(0.1)


def whole(low: int, high: int, *sizes: int) -> np.ndarray:
    values = RNG.integers(low, high, sizes)
    return np.where(values == 0, 1, values)


def bools(*sizes: int) -> np.ndarray:
    return RNG.random(sizes) < 0.5


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


UNARY = {
    **dict.fromkeys(
        ["Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity"], floats
    ),
    **dict.fromkeys(
        ["LeakyRelu", "Mish", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Tanh"], floats
    ),
    **dict.fromkeys(["Log", "Reciprocal", "Sqrt"], positive),
    "Not": bools,
}
BINARY = {
    **dict.fromkeys(["Add", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mul", "Sub"], floats),
    **dict.fromkeys(["Max", "Min"], floats),
    **dict.fromkeys(["And", "Or", "Xor"], bools),
    "Pow": positive,
}
PAIRS = [((3, 4), (3, 4)), ((2, 3, 4), (4,)), ((3, 1), (1, 4)), ((), (2, 3)), ((0, 4), (1, 4)), ((2, 1), ())]
PRODUCTS = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 6, 3, 4), (2, 6, 4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((4,), (4, 5)),
    ((2, 3, 4), (4,)),
    ((0, 4), (4, 5)),
    ((2, 3, 0), (0, 5)),
    ((2, 0, 4), (4, 5)),
]
REDUCTIONS = ["ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"]

# Operator, inputs (None: left out) and attributes.
CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    *((op, [make(*sizes)], {}) for op, make in UNARY.items() for sizes in [(3, 5), (), (0, 4), (LARGE,)]),
    ("Gelu", [floats(4, 5)], {"approximate": "tanh"}),
    ("Gelu", [np.array([-1e30, -40, -9, -0.0, 0.0, 9, 40, 1e30], np.float32)], {}),
    ("LeakyRelu", [floats(9)], {"alpha": 0.3}),
    ("HardSigmoid", [floats(9)], {"alpha": 0.3, "beta": 0.4}),
    ("Softplus", [np.array([-200, -20, 0, 20, 200], np.float32)], {}),
    ("Sigmoid", [np.array([-200, -20, 0, 20, 200], np.float32)], {}),
    ("PRelu", [floats(2, 3, 4), floats(1)], {}),
    ("PRelu", [floats(2, 3, 4), floats(3, 1)], {}),
    *((op, [make(*a), make(*b)], {}) for op, make in BINARY.items() for a, b in PAIRS),
    ("Div", [whole(-9, 9, 40), whole(-4, 4, 40)], {}),
    ("Mod", [whole(-9, 9, 40), whole(-4, 4, 40)], {}),
    ("Mod", [floats(9), positive(9)], {"fmod": 1}),
    ("Pow", [floats(3, 4), np.float32(2)], {}),
    ("Pow", [floats(3), np.full((2, 1), 2, np.float32)], {}),
    ("Pow", [floats(3, 4), np.float32(3)], {}),
    ("Pow", [floats(3, 4), np.int64(2)], {}),
    ("Max", [floats(3), floats(2, 1), floats()], {}),
    ("Min", [floats(3)], {}),
    ("Clip", [floats(9), np.float32(-1), np.float32(0.5)], {}),
    ("Clip", [floats(9), None, np.float32(0.5)], {}),
    ("Clip", [floats(9)], {}),
    ("Where", [bools(3, 1), floats(4), floats(2, 3, 4)], {}),
    ("Cast", [floats(9)], {"to": onnx.TensorProto.INT64}),
    ("Cast", [whole(-4, 4, 9)], {"to": onnx.TensorProto.FLOAT}),
    ("Cast", [bools(9)], {"to": onnx.TensorProto.FLOAT}),
    ("Cast", [whole(-1, 2, 9)], {"to": onnx.TensorProto.BOOL}),
    *(("Softmax", [floats(3, 4, 5)], {"axis": axis}) for axis in (-1, 0, 1)),
    ("Softmax", [np.array([[0, -1e4, 1e4], [-1e4, -1e4, -1e4]], np.float32)], {}),
    ("Softmax", [floats(2, 0)], {}),
    ("Softmax", [floats(300, 500)], {}),
    ("LogSoftmax", [floats(3, 4)], {}),
    ("LogSoftmax", [floats(3, 4)], {"axis": 0}),
    ("LayerNormalization", [floats(2, 3, 8), floats(8), floats(8)], {}),
    ("LayerNormalization", [floats(2, 3, 8), floats(8)], {"epsilon": 0.5}),
    ("LayerNormalization", [floats(2, 3, 8), floats(3, 8), floats(3, 8)], {"axis": 1}),
    ("LayerNormalization", [floats(700, 300) + 50, floats(300), floats(300)], {}),
    ("InstanceNormalization", [floats(2, 3, 50), floats(3), floats(3)], {}),
    ("InstanceNormalization", [floats(1, 3, 50), floats(3), floats(3)], {"epsilon": 0.1}),
    ("InstanceNormalization", [floats(2, 3, 4, 5), floats(3), floats(3)], {}),
    ("BatchNormalization", [floats(2, 3, 5), floats(3), floats(3), floats(3), positive(3)], {"epsilon": 0.01}),
    *(("MatMul", [floats(*a), floats(*b)], {}) for a, b in PRODUCTS),
    ("Gemm", [floats(3, 4), floats(4, 5)], {}),
    ("Gemm", [floats(4, 3), floats(5, 4), floats(5)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Shape", [floats(2, 3, 4)], {}),
    ("Shape", [floats(2, 3, 4)], {"start": 1, "end": -1}),
    ("Shape", [floats(2, 3, 4)], {"start": -2}),
    ("Reshape", [floats(2, 3, 4), ids(0, -1)], {}),
    ("Reshape", [floats(2, 3, 4), ids(-1, 2, 3)], {}),
    ("Reshape", [floats(0, 3), ids(3, 0)], {"allowzero": 1}),
    ("Reshape", [floats(1), ids()], {}),
    ("Transpose", [floats(2, 3, 4)], {"perm": [2, 0, 1]}),
    ("Transpose", [floats(2, 3, 4)], {}),
    ("Unsqueeze", [floats(2, 3), ids(0, -1)], {}),
    ("Unsqueeze", [floats(), ids(0)], {}),
    ("Squeeze", [floats(1, 2, 1), ids(-1)], {}),
    ("Squeeze", [floats(1, 2, 1)], {}),
    *(("Flatten", [floats(2, 3, 4)], {"axis": axis}) for axis in (0, 1, 2, -1)),
    ("Expand", [floats(3, 1), ids(2, 1, 4)], {}),
    ("Expand", [floats(3, 4), ids(1)], {}),
    ("Tile", [floats(2, 3), ids(2, 1)], {}),
    ("Concat", [floats(2, 3), floats(2, 0), floats(2, 1)], {"axis": -1}),
    ("Slice", [floats(5, 6), ids(1), ids(2**62), ids(0)], {}),
    ("Slice", [floats(5, 6), ids(-3, 0), ids(-1, 3)], {}),
    ("Slice", [floats(5, 6), ids(4, -1), ids(-(2**62), 0), ids(0, 1), ids(-1, -2)], {}),
    ("Slice", [floats(5, 6), ids(9), ids(12), ids(1)], {}),
    ("Slice", [floats(5, 6), ids(-9), ids(2), ids(-1), ids(2)], {}),
    ("Slice", [floats(0, 6), ids(0), ids(3), ids(0), ids(-1)], {}),
    ("Pad", [floats(2, 3), ids(1, 0, 2, 3)], {}),
    ("Pad", [floats(2, 3), ids(1, 2, 0, 4), np.float32(7)], {}),
    ("Pad", [floats(2, 3, 4), ids(2, 3), np.float32(0), ids(1)], {}),
    ("Pad", [floats(2, 3, 4), ids(0, 1, 2, 0), None, ids(-1, 0)], {}),
    ("Pad", [whole(0, 9, 2, 3), ids(0, 1, 0, 1), np.int64(4)], {}),
    ("Gather", [floats(5, 3), RNG.integers(-5, 5, (2, 4))], {}),
    ("Gather", [floats(5, 3), np.int64(1)], {"axis": 1}),
    ("GatherElements", [floats(4, 3), RNG.integers(-4, 4, (2, 3))], {}),
    ("GatherElements", [floats(4, 3), RNG.integers(-3, 3, (4, 5))], {"axis": 1}),
    ("GatherND", [floats(4, 3, 2), RNG.integers(0, 3, (5, 2))], {}),
    ("GatherND", [floats(2, 3, 4), RNG.integers(0, 3, (2, 1))], {"batch_dims": 1}),
    ("Range", [np.int64(2), np.int64(9), np.int64(3)], {}),
    ("Range", [np.float32(0), np.float32(1), np.float32(0.25)], {}),
    ("Range", [np.int64(5), np.int64(0), np.int64(1)], {}),
    ("CumSum", [floats(3, 4), np.int64(1)], {}),
    ("CumSum", [floats(3, 4), np.int64(0)], {"exclusive": 1, "reverse": 1}),
    ("Trilu", [floats(4, 4)], {}),
    ("Trilu", [floats(4, 5), np.int64(-1)], {"upper": 0}),
    ("ArgMax", [floats(3, 4)], {"axis": 1, "keepdims": 0}),
    ("ArgMax", [floats(3, 4)], {}),
    *((op, [floats(2, 3, 4), ids(-1, 0)], {}) for op in REDUCTIONS),
    *((op, [floats(2, 3, 4), ids(1)], {"keepdims": 0}) for op in REDUCTIONS),
    *((op, [floats(2, 3, 4)], {"keepdims": 0}) for op in REDUCTIONS),
    ("ReduceSum", [floats(2, 3)], {"noop_with_empty_axes": 1}),
    ("ReduceSum", [floats(0, 3), ids(0)], {}),
    ("ReduceSum", [whole(-9, 9, 4, 5), ids(0)], {}),
]
SPLITS = [
    (floats(7, 2), None, {"num_outputs": 3}),
    (floats(2, 6), None, {"axis": -1, "num_outputs": 2}),
    (floats(2, 6), ids(1, 0, 5), {"axis": 1}),
]
LENGTHS = [(1, 1, 30), (1, 3, 31), (2, 2, 29)]
CONVOLUTIONS = [  # channels out, channels in of each group, taps; attributes
    ((4, None, 10), {"strides": [5]}),
    ((6, None, 3), {"strides": [2], "pads": [1, 1]}),
    ((4, None, 3), {"dilations": [3], "pads": [2, 0]}),
    ((5, None, 1), {}),
    ((3, None, 29), {}),
]


def run(
    folder: Path,
    op: str,
    inputs: list[Any],
    attributes: dict[str, Any],
    outputs: int = 1,
    weights: tuple[int, ...] = (),
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the reference gives for a graph of one operator, and what the engine gives for its program."""
    names = ["" if value is None else f"in{place}" for place, value in enumerate(inputs)]
    node = helper.make_node(op, names, [f"out{i}" for i in range(outputs)], **attributes)
    kept = {name: np.asarray(value) for name, value in zip(names, inputs, strict=True) if name}
    free = {name: value for name, value in kept.items() if int(name[2:]) not in weights}
    fixed = [numpy_helper.from_array(value, name) for name, value in kept.items() if name not in free]
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in free.items()
    ]
    open_ends = [helper.make_empty_tensor_value_info(name) for name in node.output]
    model = helper.make_model(
        helper.make_graph([node], "one", infos, open_ends, fixed), opset_imports=[helper.make_opsetid("", OPSET)]
    )
    with np.errstate(all="ignore"):  # the reference, too, overflows on its way to a limit
        expected = [np.asarray(value) for value in ReferenceEvaluator(model).run(None, free)]
    ends = zip(node.output, expected, strict=True)
    source = GraphSource("one", torch.nn.Identity(), _tensors(free.items()), _tensors(ends))
    with Archive(folder / "weights.npz") as archive:
        (folder / "one.json").write_text(to_program(model, source, archive, "float32"), encoding="utf-8")
    graph = Engine(2).load(folder / "one.json", folder / "weights.npz", source.inputs, source.outputs)
    before = {name: value.copy() for name, value in free.items()}
    found = graph.run(free)
    for name, value in before.items():
        np.testing.assert_array_equal(free[name], value)
    return expected, [found[name] for name in node.output]


def _tensors(arrays: Any) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, array.dtype.name, ("axis",) * array.ndim) for name, array in arrays)


def check(expected: list[np.ndarray], found: list[np.ndarray]) -> None:
    for a, b in zip(expected, found, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("op", "inputs", "attributes"), CASES, ids=[f"{i} {case[0]}" for i, case in enumerate(CASES)])
def test_operators(tmp_path: Path, op: str, inputs: list[Any], attributes: dict[str, Any]) -> None:
    check(*run(tmp_path, op, inputs, attributes))


@pytest.mark.parametrize(("x", "sizes", "attributes"), SPLITS)
def test_split(tmp_path: Path, x: np.ndarray, sizes: np.ndarray | None, attributes: dict[str, Any]) -> None:
    inputs = [x] if sizes is None else [x, sizes]
    check(*run(tmp_path, "Split", inputs, attributes, outputs=attributes.get("num_outputs", 3)))


@pytest.mark.parametrize(("kernel", "attributes"), CONVOLUTIONS)
@pytest.mark.parametrize("sizes", LENGTHS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_convolutions(
    tmp_path: Path, kernel: tuple[Any, ...], attributes: dict[str, Any], sizes: tuple[int, ...], has_bias: bool
) -> None:
    inputs = [floats(*sizes), floats(kernel[0], sizes[1], kernel[2])] + [floats(kernel[0])] * has_bias
    check(*run(tmp_path, "Conv", inputs, attributes, weights=(1,)))


@pytest.mark.parametrize("pads", [(0, -1, 0, -1), (1, -2, 0, 4), (-1, 0, -1, 0), (-2, 3, 0, -3), (5, -5, -1, 1)])
def test_pads_below_zero_cut_off(pads: tuple[int, ...]) -> None:
    x = floats(2, 5)
    first, second, behind_first, behind_second = pads
    expected = torch.nn.functional.pad(torch.from_numpy(x), (second, behind_second, first, behind_first), value=7.0)
    np.testing.assert_array_equal(shapes.pad(x, ids(*pads), np.float32(7)), expected.numpy())


def test_every_operator_is_tested() -> None:
    tested = {op for op, *_ in CASES} | {"Split", "Conv", "ConstantOfShape"}
    assert tested == set(OPERATORS)


def test_constant_of_shape() -> None:
    assert shapes.constant_of_shape(ids(2, 3), value=4, dtype="int64").tolist() == [[4] * 3] * 2


@pytest.mark.parametrize(("groups", "taps", "frames"), [(1, 3, 50), (4, 128, 40), (16, 127, 300), (2, 5, 5)])
def test_a_grouped_convolution_is_torchs(groups: int, taps: int, frames: int) -> None:
    """As the positional one: half the kernel of zeros on both sides; also of a view, and in a few windows at a time."""
    x, weight, bias = floats(2, frames, 32).swapaxes(1, 2), floats(48, 32 // groups, taps) / 50, floats(48)
    expected = torch.conv1d(*map(torch.from_numpy, (x, weight, bias)), padding=taps // 2, groups=groups).numpy()
    kernel = linear.arranged(weight, group=groups)
    found = linear.conv(x, kernel, bias, pads=(taps // 2, taps // 2), group=groups)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "WINDOWS", 7 * taps)
        few = linear.conv(x, kernel, bias, pads=(taps // 2, taps // 2), group=groups)
    np.testing.assert_allclose(few, expected, atol=1e-5)


@pytest.mark.parametrize(("taps", "before", "after"), [(5, 4, 0), (600, 599, 0), (901, 450, 450), (64, 10, 53)])
def test_a_convolution_per_channel_over_a_row_is_torchs(taps: int, before: int, after: int) -> None:
    x, weight, bias = floats(2, 24, 1, 200) + 8, floats(24, 1, 1, taps) / taps, floats(24)
    padded = torch.nn.functional.pad(torch.from_numpy(x), (before, after))
    expected = torch.conv2d(padded, torch.from_numpy(weight), torch.from_numpy(bias), groups=24).numpy()
    kernel = linear.arranged(weight, group=24)
    ones = {"strides": (1, 1), "dilations": (1, 1)}
    found = linear.conv(x, kernel, bias, pads=(0, before, 0, after), group=24, **ones)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_long_utterance_of_grouped_windows_takes_little_memory() -> None:
    import tracemalloc

    x, kernel = np.zeros((1, 32, 4000), np.float32), linear.arranged(floats(32, 2, 128), group=16)
    tracemalloc.start()
    try:
        linear.conv(x, kernel, pads=(64, 64), group=16)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * x.nbytes + 2 * 4 * linear.WINDOWS  # all windows are 256 times as much as x


@pytest.mark.parametrize(
    ("frames", "channels", "reason"), [(4, 3, "4 frames are fewer"), (9, 2, "expected 3 channels")]
)
def test_convolutions_that_cannot_be(frames: int, channels: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        linear.conv(floats(1, channels, frames), linear.arranged(floats(2, 3, 5)))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Gather", [floats(3), ids(3)], {}),
        ("Reshape", [floats(6), ids(4, -1)], {}),
        ("Pad", [floats(3), ids(-2, -2)], {}),
        ("Add", [floats(3), floats(4)], {}),
        ("Squeeze", [floats(3), ids(0)], {}),
    ],
)
def test_what_is_impossible_is_an_engine_error(
    tmp_path: Path, op: str, inputs: list[np.ndarray], attributes: dict[str, Any]
) -> None:
    node = helper.make_node(op, ["a", "b"], ["c"], **attributes)
    given = dict(zip(("a", "b"), inputs, strict=True))
    source = GraphSource("one", torch.nn.Identity(), _tensors(given.items()), (Tensor("c", "float32", ("axis",)),))
    model = helper.make_model(helper.make_graph([node], "one", [], []))
    with Archive(tmp_path / "weights.npz") as archive:
        (tmp_path / "one.json").write_text(to_program(model, source, archive, "float32"), encoding="utf-8")
    graph = Engine(1).load(tmp_path / "one.json", None, source.inputs, source.outputs)
    with pytest.raises(EngineError, match=rf"numpy failed in one.json: .*step c, {op}\)") as caught:
        graph.run(given)
    assert "\n" not in str(caught.value)


def test_erf_and_gelu_are_accurate() -> None:
    """To the 1.5e-7 of the published formula and a few roundings of float32; torch's own gelu is off by 1.2e-6."""
    x = np.linspace(-12, 12, 400_001, dtype=np.float32)
    wide = torch.from_numpy(x.astype(np.float64))
    np.testing.assert_allclose(erf(x, workers=THREADS), torch.erf(wide).numpy(), atol=7e-7, rtol=0)
    expected = torch.nn.functional.gelu(wide).numpy()
    np.testing.assert_allclose(gelu(x, workers=THREADS), expected, atol=4e-7, rtol=0)
    assert np.isnan(gelu(np.array([np.nan], np.float32), workers=THREADS)).all()


ORDERS = [(0, 1, 2), (0, 2, 1), (2, 0, 1)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("step", [1, 2, -1])
def test_views_give_what_copies_give(order: tuple[int, ...], step: int) -> None:
    base = floats(40, 70, 50)
    x = base.transpose(order)[:, ::step]
    scale = floats(x.shape[-1])
    for function in (
        lambda a, **more: gelu(a, workers=THREADS, **more),
        lambda a, **more: softmax(a, workers=THREADS, **more),
        lambda a, **more: normalisation.layer_normalization(a, scale, workers=THREADS, **more),
    ):
        expected = function(np.array(x, order="C"))
        np.testing.assert_array_equal(function(x), expected)
        own = x.copy(order="K")
        np.testing.assert_array_equal(function(own, out=own), expected)


@pytest.mark.parametrize("order", ORDERS)
def test_instance_normalization_of_views(order: tuple[int, ...]) -> None:
    x = floats(20, 30, 3000).transpose(order) + np.float32(5)
    scale, bias = floats(x.shape[1]), floats(x.shape[1])
    wide = (torch.from_numpy(np.array(array, np.float64, order="C")) for array in (x, scale, bias))
    expected = torch.nn.functional.instance_norm(next(wide), weight=next(wide), bias=next(wide)).numpy()
    for own in ({}, {"out": None}):
        found = normalisation.instance_normalization(x.copy(order="K"), scale, bias, workers=THREADS, **own)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    given = x.copy(order="K")
    found = normalisation.instance_normalization(given, scale, bias, workers=THREADS, out=given)
    np.testing.assert_allclose(found, expected, atol=1e-5)
