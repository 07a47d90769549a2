"""The benchmark of a decoder's step, on a tiny decoder. How fast anything is, is not asserted."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from benchmarks.step import GRAPH, OUTSIDE, WEIGHTS, main, weights_call


def test_the_parts_of_a_step(pairs, tmp_path):
    pair = pairs.pair("bart", "onnx")
    file = tmp_path / "step.json"
    arguments = [str(pair.bundle), "--beams", "3", "--slots", "20", "--frames", "7", "--runs", "1", "--json", str(file)]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads(file.read_text(encoding="utf-8"))
    assert (found["beams"], found["slots"], found["frames"], found["threads"]) == (3, 20, 7, 1)
    assert [row["part"] for row in found["rows"]] == [GRAPH, WEIGHTS, OUTSIDE, "step"]
    by_part = {row["part"]: row for row in found["rows"]}
    for key in ("one", "several"):
        assert by_part[GRAPH][key] > 0
        assert by_part["step"][key] == pytest.approx(by_part[GRAPH][key] + by_part[OUTSIDE][key])


def test_the_products_with_weights_are_those_of_the_graph(pairs):
    file = pairs.pair("bart", "onnx").bundle / "decoder.onnx"
    model = onnx.load(file)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type in ("Gemm", "MatMul") and node.input[1] in weights]
    found = weights_call(file, 4, 1)()
    assert len(found) == len(products) > 8
    for array, node in zip(found, products, strict=True):
        sizes = set(weights[node.input[1]].shape)
        assert array.shape[0] == 4
        assert array.shape[1] in sizes
        assert np.isfinite(array).all()


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--cpu", "--threads", "2"], "is for one thread"), (["/nowhere"], "does not exist")]
)
def test_what_cannot_be_measured_is_refused(tmp_path, arguments, said):
    result = CliRunner().invoke(main, [str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert said in result.output
