"""Matrix products as large as an encoder's, in INT8 and float32: what an engine that did nothing else would reach.

ONNX Runtime's INT8 is its own operator with a float result, which it forms of quantize-dequantize pairs. OpenVINO has
no such operator to call: a chain of products is run, each rounding for the next, as layers do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from benchmarks.loading import ENGINES

CHAIN = 8  # products of OpenVINO in one call
# (rows, inputs, outputs): those of ten seconds in the base size, and square ones.
SHAPES = ((500, 768, 3072), (500, 3072, 768), (500, 1536, 512), (1024, 1024, 1024), (2048, 2048, 2048))


@dataclass(frozen=True)
class Product:
    """A call, and the operations in it: a multiplication and an addition for each pair of factors."""

    engine: str
    precision: str
    shape: tuple[int, ...]
    call: Callable[[], object]
    operations: int

    @property
    def title(self) -> str:
        """A name that no two have in common."""
        return f"{self.engine} {self.precision} {self.shape}"


def products(threads: int) -> list[Product]:
    """The large products in both engines and precisions, ready to run."""
    return [product(engine, precision, shape, threads) for engine, precision in MAKERS for shape in SHAPES]


def product(engine: str, precision: str, shape: tuple[int, ...], threads: int) -> Product:
    """One of them, of any shape: with heads before it, both factors are given, as in attention."""
    make, count = MAKERS[engine, precision] if len(shape) == 3 else (ATTENTION[engine], 1)
    return Product(engine, precision, shape, make(shape, precision, threads, count), 2 * prod(shape) * count)


def onnx_product(shape: tuple[int, int, int], precision: str, threads: int, count: int) -> Callable[[], object]:
    """One product with weights that the engine may pack; `count` is 1."""
    import onnx
    import onnxruntime

    rows, inputs, outputs = shape
    if precision == "int8":
        left, right = factors(shape)
        stored: dict[str, Any] = {
            "w": right,
            "xs": np.float32(0.01),
            "ws": np.full(outputs, 0.01, np.float32),
            "xz": np.uint8(128),
        }
        node = onnx.helper.make_node(
            "MatMulIntegerToFloat", ["x", "w", "xs", "ws", "xz"], ["y"], domain="com.microsoft"
        )
    else:
        left, right = (each.astype(np.float32) for each in factors(shape))
        stored, node = {"w": right}, onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    info = onnx.helper.make_tensor_value_info
    given = info("x", onnx.helper.np_dtype_to_tensor_dtype(left.dtype), [rows, inputs])
    weights = [onnx.numpy_helper.from_array(np.asarray(values), name) for name, values in stored.items()]
    graph = onnx.helper.make_graph([node], "product", [given], [info("y", onnx.TensorProto.FLOAT, None)], weights)
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = {"x": onnxruntime.OrtValue.ortvalue_from_numpy(left)}
    return lambda: session.run_with_ort_values(["y"], values)


def openvino_products(shape: tuple[int, int, int], precision: str, threads: int, count: int) -> Callable[[], object]:
    """A chain of products, to and fro between the widths of a shape; in INT8 each input is rounded to 8 bits."""
    import openvino
    from openvino import opset13 as ops

    rows, inputs, outputs = shape
    given = values = ops.parameter([rows, inputs], np.float32)
    for _ in range(count):
        weights = factors((1, inputs, outputs))[1]
        matrix: Any = ops.constant(weights.astype(np.float32) / 127)
        if precision == "int8":
            values = ops.fake_quantize(values, *map(np.float32, (-1, 1, -1, 1)), 256)
            matrix = ops.multiply(ops.convert(ops.constant(weights), np.float32), ops.constant(np.float32(0.01)))
        values = ops.matmul(values, matrix, False, False)
        inputs, outputs = outputs, inputs
    model = openvino.Model([ops.result(values)], [given], "products")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()
    request.set_tensor(request.model_inputs[0], openvino.Tensor(factors(shape)[0].astype(np.float32) / 255))
    return request.infer


def onnx_attention(shape: tuple[int, ...], precision: str, threads: int, count: int) -> Callable[[], object]:
    """A product in float32 for each of several heads; `count` is 1."""
    import onnx
    import onnxruntime

    info = onnx.helper.make_tensor_value_info
    ports = [info(name, onnx.TensorProto.FLOAT, None) for name in "xyz"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "y"], ["z"])], "product", ports[:2], ports[2:]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(each) for name, each in zip("xy", of_heads(shape), strict=True)
    }
    return lambda: session.run_with_ort_values(["z"], values)


def openvino_attention(shape: tuple[int, ...], precision: str, threads: int, count: int) -> Callable[[], object]:
    """The same in OpenVINO."""
    import openvino
    from openvino import opset13 as ops

    pair = of_heads(shape)
    given = [ops.parameter(each.shape, np.float32) for each in pair]
    model = openvino.Model([ops.result(ops.matmul(*given, False, False))], given, "product")
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()
    for port, each in zip(request.model_inputs, pair, strict=True):
        request.set_tensor(port, openvino.Tensor(each))
    return request.infer


ATTENTION = {ENGINES["onnx"]: onnx_attention, ENGINES["openvino"]: openvino_attention}
MAKERS: dict[tuple[str, str], tuple[Callable[..., Callable[[], object]], int]] = {
    (ENGINES["onnx"], "int8"): (onnx_product, 1),
    (ENGINES["onnx"], "float32"): (onnx_product, 1),
    (ENGINES["openvino"], "int8"): (openvino_products, CHAIN),
    (ENGINES["openvino"], "float32"): (openvino_products, 2),
}


def factors(shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """Random factors of a product of integers: unsigned (rows, inputs) and signed (inputs, outputs)."""
    rows, inputs, outputs = shape
    random = np.random.default_rng(0)
    left = random.integers(0, 256, (rows, inputs), np.uint8)
    return left, random.integers(-127, 128, (inputs, outputs), np.int8)


def of_heads(shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Random factors of products in float32: (1, heads, rows, inputs) and (1, heads, inputs, outputs)."""
    heads, rows, inputs, outputs = shape
    random = np.random.default_rng(0)
    return tuple(random.random((1, heads, *size), np.float32) for size in ((rows, inputs), (inputs, outputs)))  # type: ignore[return-value]
