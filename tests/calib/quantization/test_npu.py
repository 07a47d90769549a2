"""Bundles for NPUs that compute in whole numbers: all of each graph is quantized, and the logits stay close."""

import json
from collections import Counter
from pathlib import Path

import edgespeech_runtime
import numpy as np
import onnx
import onnx.parser
import onnx.reference
import pytest
from checkpoints import make_checkpoint
from edgespeech_calib import open_set
from edgespeech_calib.errors import QuantizationError
from edgespeech_calib.quantization.npu.bundle import NpuOptions, export_npu, quantize_graph
from edgespeech_calib.quantization.npu.forms import float_nodes, quantize_moved_inputs, separate_tables
from edgespeech_runtime.audio.waveform import normalize
from edgespeech_runtime.bundle.manifest import Manifest
from edgespeech_runtime.engines import Device
from edgespeech_runtime.engines import onnx as onnx_engine
from edgespeech_runtime.errors import EngineError
from onnx import helper
from places import SENTENCES

from edgespeech import AutoModelForCTC


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny CTC checkpoint and its bundle."""
    folder = tmp_path_factory.mktemp("npu")
    checkpoint = make_checkpoint(folder / "checkpoint", "wav2vec2")
    export_npu(checkpoint, folder / "bundle", open_set(str(SENTENCES)), NpuOptions(buckets=(2.0,), samples=6))
    return checkpoint, folder / "bundle"


def test_every_node_stands_between_quantized_tensors(made: tuple[Path, Path]):
    model = onnx.load(made[1] / "single_32000.onnx", load_external_data=False)
    assert float_nodes(model.graph) == []
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators["Conv"] == 1  # the positional one; others would be strided
    assert operators["QuantizeLinear"] > 50


def test_an_input_is_quantized_before_it_is_moved():
    graph = onnx.parser.parse_graph(
        """g (float[1, 6] x) => (float[1, 2, 2] y)
        <int64[3] shape = {1, 3, 2}, int64[1] zero = {0}, int64[1] two = {2}, int64[1] one = {1},
         float scale = {0.5}, uint8 point = {3}>
        {
            r = Reshape(x, shape)
            s = Slice(r, zero, two, one)
            q = QuantizeLinear(s, scale, point)
            y = DequantizeLinear(q, scale, point)
        }"""
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    x = {"x": np.array([[0.1, 5.2, -1.4, 3.0, 9.9, 2.2]], np.float32)}
    before = onnx.reference.ReferenceEvaluator(model).run(None, x)
    quantize_moved_inputs(model.graph)
    onnx.checker.check_model(model, full_check=True)
    assert float_nodes(model.graph) == []
    np.testing.assert_array_equal(onnx.reference.ReferenceEvaluator(model).run(None, x), before)


def test_nodes_that_are_not_quantized_are_named():
    graph = onnx.parser.parse_graph(
        """g (float[1, 2] x, int32[2] i) => (float[2, 2] z)
        <uint8[2, 2] table = {1, 2, 3, 4}, int32[1] one = {1}, float scale = {0.5}, float[1] half = {0.5}>
        {
            [position] next = Add(i, one)
            [rows] t = DequantizeLinear(table, scale)
            [lookup] g = Gather(t, next)
            [q] q = QuantizeLinear(g, scale)
            [dq] d = DequantizeLinear(q, scale)
            [mask] c = Cast<to = 1>(next)
            [weigh] w = Mul(d, half)
            [again] a = Add(w, x)
            [masked] z = Mul(d, c)
        }"""
    )
    assert float_nodes(graph) == ["weigh", "again", "masked"]


def test_a_table_that_is_also_a_factor_gets_a_copy():
    graph = onnx.parser.parse_graph(
        """g (int32[1] i, float[1, 2] x) => (float[1, 2] a, float[1, 2] b)
        <float[2, 2] w = {1, 2, 3, 4}> { a = Gather(w, i) b = Gemm<transB = 1>(x, w) }"""
    )
    separate_tables(graph)
    assert graph.node[0].input[0] == "w_table"
    assert graph.node[1].input[1] == "w"
    assert {tensor.name for tensor in graph.initializer} == {"w", "w_table"}


def test_the_logits_are_close_to_the_float_models(made: tuple[Path, Path]):
    checkpoint, bundle = made
    model = AutoModelForCTC.from_pretrained(checkpoint)
    import torch

    waveform = open_set(str(SENTENCES)).utterances[0].audio.read(16000)[:24000]
    with torch.inference_mode():
        expected = model(torch.from_numpy(normalize(waveform))[None]).logits[0].numpy()
    with edgespeech_runtime.load(bundle, threads=1) as runtime:
        found = runtime.logits(waveform)
        assert runtime.manifest.precision == "int8"
        assert runtime.self_check() <= runtime.manifest.golden.tolerance
    noise = np.sqrt(np.mean((found - expected) ** 2) / np.mean((expected - expected.mean(0)) ** 2))
    assert noise < 0.1


def test_a_graph_that_heard_nothing_is_refused(tmp_path: Path, made: tuple[Path, Path]):
    with pytest.raises(QuantizationError, match="never came to the graph single_32000"):
        quantize_graph(made[1] / "single_32000.onnx", tmp_path / "out.onnx", [], "uint16")


@pytest.fixture
def qualcomm(monkeypatch: pytest.MonkeyPatch) -> list[bytes | Exception]:
    """A compiler for the NPU that writes, or raises, what is put into the list; the CPU runs what there is."""
    npu = Device("onnx:QNNExecutionProvider", "npu", "onnx", "onnxruntime 9, onnxruntime_qnn 9", static=True)
    answers, real = [], onnx_engine.offered()

    def compile_graph(engine: onnx_engine.Engine, file: Path, settings: dict[str, str]) -> bytes:
        assert engine.device == npu
        assert settings == {"soc_model": "60"}
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    monkeypatch.setattr(onnx_engine, "offered", lambda: [npu, *real])
    monkeypatch.setattr(onnx_engine.Engine, "compile", compile_graph)
    return answers


def exported_compiled(checkpoint: Path, bundle: Path) -> Manifest:
    options = NpuOptions(buckets=(2.0,), samples=2, compile=True, soc_model=60)
    return export_npu(checkpoint, bundle, open_set(str(SENTENCES)), options)


def test_compiled_graphs_lie_beside_those_that_run_anywhere(made: tuple[Path, Path], qualcomm: list, tmp_path: Path):
    nodes = [
        helper.make_node("EPContext", ["x"], ["y"], "a", domain="com.microsoft"),
        helper.make_node("Cast", ["y"], ["z"], "b"),
        helper.make_node("Cast", ["z"], ["w"]),
    ]
    content = helper.make_model(helper.make_graph(nodes, "g", [], [])).SerializeToString()
    qualcomm.append(content)
    manifest = exported_compiled(made[0], tmp_path / "bundle")
    (graph,) = manifest.graphs.values()
    (entry,) = graph.compiled
    assert (entry.file, entry.options) == ("single_32000.qnn.onnx", {"soc_model": "60"})
    assert (entry.device, entry.library) == ("onnx:QNNExecutionProvider", "onnxruntime 9, onnxruntime_qnn 9")
    assert (tmp_path / "bundle" / entry.file).read_bytes() == content
    assert manifest.report["compiled"] == {
        "device": entry.device,
        "library": entry.library,
        "options": entry.options,
        "bytes": len(content),
        "nodes_elsewhere": {"single_32000": ["b", "Cast"]},
    }
    with edgespeech_runtime.load(tmp_path / "bundle", device="cpu", self_check="always") as runtime:
        assert runtime.manifest == manifest  # and the CPU takes the other graph


def test_what_cannot_be_compiled_leaves_nothing_behind(made: tuple[Path, Path], qualcomm: list, tmp_path: Path):
    qualcomm.append(EngineError("too large"))
    with pytest.raises(QuantizationError, match=r"single_32000.onnx cannot be compiled for Qualcomm's NPU: too large"):
        exported_compiled(made[0], tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_knows_nothing_of_compiled_graphs_is_read(made: tuple[Path, Path]):
    data = json.loads((made[1] / "edgespeech.json").read_text(encoding="utf-8"))
    for graph in data["graphs"].values():
        assert graph.pop("compiled") == []
    assert Manifest.from_json(json.dumps(data)) == Manifest.from_json((made[1] / "edgespeech.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [({"samples": 0}, "samples"), ({"activations": "int3"}, "uint16"), ({"soc_model": 60}, "set compile too")],
)
def test_options_that_cannot_be_are_refused(options: dict, message: str):
    with pytest.raises(QuantizationError, match=message):
        NpuOptions(**options)
