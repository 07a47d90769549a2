"""Bundles for the numpy engine: programs that people can read, their archive of weights, what is refused and why.

That they compute what the model computes is tested where it is for the other engines.
"""

import json
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
from edgespeech_export import ExportOptions, export
from edgespeech_export.errors import ExportError
from edgespeech_export.graphs.graphs import GraphSource
from edgespeech_export.writers import tracing
from edgespeech_export.writers.numpy import Archive, to_program
from edgespeech_export.writers.numpy_int8 import quantize_archive, quantized
from edgespeech_runtime.bundle.contracts import Tensor
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.engines import numpy as engine
from edgespeech_runtime.errors import BundleError, EngineError
from onnx import helper
from torch import nn
from tracing import EXPORTED

from edgespeech.activations import NAMES, activation

KIND = "wav2vec2-group"
PLANE = Tensor("x", "float32", ("batch", "samples")), Tensor("y", "float32", ("batch", "samples"))


@pytest.fixture
def program(case_of: Any) -> dict[str, Any]:
    """The program of the graph `single` as JSON data."""
    return json.loads((case_of(KIND, "numpy").bundle / "single.json").read_text(encoding="utf-8"))


def load(folder: Path, program: dict[str, Any], weights: Path | None = None) -> engine.Graph:
    (folder / "graph.json").write_text(json.dumps(program), encoding="utf-8")
    tensors = [[Tensor(t["name"], t["dtype"], tuple(t["axes"])) for t in program[end]] for end in ("inputs", "outputs")]
    return engine.Engine(2).load(folder / "graph.json", weights, *tensors)


def test_a_bundle_is_programs_over_one_archive(case_of: Any) -> None:
    case = case_of(KIND, "numpy")
    names = {path.name for path in case.bundle.iterdir()}
    assert {"single.json", "batch.json", "weights.npz"} <= names
    assert not [name for name in names if name.endswith((".onnx", ".bin", ".data"))]
    size = 4 * sum(tensor.numel() for tensor in case.model.state_dict().values())
    assert (case.bundle / "weights.npz").stat().st_size < 1.2 * size + 300 * 100  # a header for each array
    with np.load(case.bundle / "weights.npz") as archive:
        weight = archive["wav2vec2.encoder.layers.0.attention.q_proj.weight"]
    expected = case.model.state_dict()["wav2vec2.encoder.layers.0.attention.q_proj.weight"].numpy()
    np.testing.assert_array_equal(weight.T, expected)


def test_steps_are_called_after_the_modules_that_they_belong_to(program: dict[str, Any]) -> None:
    named = {(step["name"], step["op"]) for step in program["steps"]}
    for expected in (
        ("wav2vec2.feature_extractor.conv_layers.0.conv", "Conv"),
        ("wav2vec2.encoder.layers.1.attention.q_proj", "MatMul"),
        ("wav2vec2.encoder.layers.1.attention", "Softmax"),
        ("wav2vec2.encoder.layers.1.feed_forward", "Gelu"),
        ("lm_head", "Add"),
    ):
        assert expected in named
    softmax = next(step for step in program["steps"] if step["op"] == "Softmax")
    assert softmax["attributes"] == {}  # what is so anyhow is not said


def test_the_same_checkpoint_gives_the_same_bytes(
    case_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = case_of(KIND, "numpy")
    monkeypatch.setattr(tracing, "_exported", EXPORTED)
    export(case.checkpoint, tmp_path / "again", ExportOptions(engine="numpy"))
    for name in ("single.json", "batch.json", "weights.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (case.bundle / name).read_bytes()


class Activations(nn.Module):
    """One activation for each input."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.functions = nn.ModuleList(map(activation, names))

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(function(values) for function, values in zip(self.functions, inputs, strict=True))


def test_every_activation(tmp_path: Path) -> None:
    names = sorted(NAMES)
    module = Activations(names)
    ports = [tuple(Tensor(f"{end}.{name}", "float32", PLANE[0].axes) for name in names) for end in "xy"]
    source = GraphSource("all", module, *ports)
    with Archive(tmp_path / "weights.npz") as archive:
        text = to_program(tracing.trace(source, lambda frames: frames), source, archive, "float32")
    graph = load(tmp_path, json.loads(text), tmp_path / "weights.npz")
    x = np.linspace(-30, 30, 3 * 50_000, dtype=np.float32).reshape(3, -1)
    outputs = graph.run({f"x.{name}": x for name in names})
    for name, function in zip(names, module.functions, strict=True):
        with torch.inference_mode():
            expected = function(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(outputs[f"y.{name}"], expected, atol=2e-6, rtol=2e-6, err_msg=name)


def test_many_threads_get_what_each_gets_alone(case_of: Any) -> None:
    generator = np.random.default_rng(3)
    waveforms = [generator.standard_normal(size).astype(np.float32) for size in (4000, 9000, 20000, 16000) * 2]
    with edgespeech_runtime.load(case_of(KIND, "numpy").bundle, threads=2) as model:
        alone = [model.logits(waveform) for waveform in waveforms]
        found: list[Any] = [None] * len(waveforms)

        def run(index: int) -> None:
            found[index] = model.logits(waveforms[index])

        threads = [threading.Thread(target=run, args=(index,)) for index in range(len(waveforms))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for a, b in zip(alone, found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_intermediate_results_are_let_go_of(tmp_path: Path) -> None:
    """Twenty steps of 4 MB each: two live at once, and where a step can, it writes over its input."""
    nodes = [helper.make_node("Sin", ["x"], ["v0"])]
    nodes += [helper.make_node(("Exp", "Cos")[i % 2], [f"v{i}"], [f"v{i + 1}"]) for i in range(18)]
    nodes += [helper.make_node("Transpose", ["v18"], ["t"]), helper.make_node("MatMul", ["t", "v18"], ["y"])]
    source = GraphSource("many", torch.nn.Identity(), PLANE[:1], PLANE[1:])
    with Archive(tmp_path / "weights.npz") as archive:
        text = to_program(helper.make_model(helper.make_graph(nodes, "many", [], [])), source, archive, "float32")
    graph = load(tmp_path, json.loads(text))
    x = np.ones((1000, 1000), np.float32)
    expected = np.ones_like(x)
    for function in (np.sin, *(np.exp, np.cos) * 9):
        expected = function(expected)
    tracemalloc.start()
    try:
        found = graph.run({"x": x})["y"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found, expected.T @ expected, rtol=1e-5)
    assert peak < 2.5 * x.nbytes
    assert (x == 1).all()


def test_outputs_that_share_memory_come_apart(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    outputs = tuple(Tensor(name, "float32", ("samples", "batch")) for name in names)
    nodes = [helper.make_node("Transpose", ["x"], ["a"]), helper.make_node("Exp", ["x"], ["e"])]
    nodes += [helper.make_node("Transpose", ["e"], [name]) for name in "bc"]
    source = GraphSource("views", torch.nn.Identity(), PLANE[:1], outputs)
    with Archive(tmp_path / "weights.npz") as archive:
        text = to_program(helper.make_model(helper.make_graph(nodes, "views", [], [])), source, archive, "float32")
    x = np.ones((60, 70), np.float32)
    found = load(tmp_path, json.loads(text)).run({"x": x})
    assert not any(
        np.shares_memory(found[a], other) for a in names for other in (x, *(found[b] for b in names if b != a))
    )
    for name in names:
        found[name][:] = 7


def test_weights_in_integers(tmp_path: Path) -> None:
    """What a scale for each output channel promises: no weight is off by more than half a step of its channel."""
    weight = (np.random.default_rng(0).standard_normal((40, 30)) * np.logspace(-3, 1, 30)).astype(np.float32)
    weight[:, 4] = 0
    parts = quantized("w", weight, axis=1)
    assert {name: (array.dtype.name, array.shape) for name, array in parts.items()} == {
        "w.int8": ("int8", (40, 30)),
        "w.scale": ("float32", (1, 30)),
    }
    assert (np.abs(parts["w.int8"]).max(0)[np.arange(30) != 4] == 127).all()
    np.savez(tmp_path / "weights.npz", **parts)
    program = {
        "name": "one",
        "inputs": [{"name": "x", "dtype": "float32", "axes": ["batch", "samples"]}],
        "outputs": [{"name": "y", "dtype": "float32", "axes": ["batch", "samples"]}],
        "constants": {},
        "weights": {"weight": "w"},
        "steps": [{"name": "s", "op": "MatMul", "inputs": ["x", "weight"], "outputs": ["y"], "attributes": {}}],
    }
    found = load(tmp_path, program, tmp_path / "weights.npz").run({"x": np.eye(40, dtype=np.float32)})["y"]
    assert (np.abs(found - weight) <= 0.501 * parts["w.scale"]).all()
    np.testing.assert_array_equal(found[:, 4], 0)


def test_an_archive_in_integers(case_of: Any, tmp_path: Path) -> None:
    bundle = case_of(KIND, "numpy").bundle
    spec = open_bundle(bundle).manifest.graphs["single"]
    programs = [bundle / "single.json", bundle / "batch.json"]
    done = quantize_archive(programs, bundle / "weights.npz", tmp_path / "int8.npz")
    assert "wav2vec2.encoder.layers.0.attention.q_proj.weight" in done
    assert not [name for name in done if "norm" in name or name.endswith("bias")]
    x = np.random.default_rng(5).standard_normal((1, 16000)).astype(np.float32)

    def logits(weights: Path) -> np.ndarray:
        return engine.Engine(1).load(programs[0], weights, spec.inputs, spec.outputs).run({"input_values": x})["logits"]

    expected, found = logits(bundle / "weights.npz"), logits(tmp_path / "int8.npz")
    difference = np.abs(found - expected)
    assert 1e-5 < difference.max() < 0.2 * np.abs(expected).max()
    assert np.square(difference).mean() < 1e-3 * np.square(expected).mean()  # 30 dB
    quantize_archive(programs, bundle / "weights.npz", tmp_path / "again.npz", floating=done)
    assert (tmp_path / "again.npz").read_bytes() == (bundle / "weights.npz").read_bytes()


def test_a_matrix_becomes_float16_where_that_changes_nothing(tmp_path: Path) -> None:
    exact, beyond, finer = (np.full((40, 40), value, np.float32) for value in (0.5, 1e5, 0.1))
    with Archive(tmp_path / "weights.npz") as archive:
        names = [archive.put("w", values, "float16") for values in (exact, beyond, finer)]
    with np.load(tmp_path / "weights.npz") as stored:
        assert [stored[name].dtype for name in names] == [np.float16, np.float32, np.float32]
        for name, values in zip(names, (exact, beyond, finer), strict=True):
            np.testing.assert_array_equal(stored[name], values)


def test_different_weights_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    with Archive(tmp_path / "weights.npz") as archive:
        names = [archive.put("w", np.full(3, value, np.float32), "float32") for value in (1, 2, 1)]
    assert names[0] == names[2] != names[1]
    with np.load(tmp_path / "weights.npz") as stored:
        assert [stored[name][0] for name in names] == [1, 2, 1]
        assert len(stored.files) == 2
    with zipfile.ZipFile(tmp_path / "weights.npz") as archive_file:
        assert {entry.compress_type for entry in archive_file.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (helper.make_node("Sinh", ["x"], ["y"]), "the operator Sinh is not known"),
        (helper.make_node("Cast", ["x"], ["y"], to=1, round_mode="up"), "attribute round_mode"),
        (helper.make_node("Conv", ["x", "k"], ["y"]), "must have a weight as its input 1"),
        (helper.make_node("Conv", ["x", "k"], ["y"], auto_pad="SAME_UPPER"), "auto_pad='SAME_UPPER'"),
        (helper.make_node("Concat", ["x"], ["y"]), "lacks the attribute axis"),
    ],
)
def test_graphs_that_cannot_run_are_refused_at_export(tmp_path: Path, node: Any, reason: str) -> None:
    source = GraphSource("odd", torch.nn.Identity(), PLANE[:1], PLANE[1:])
    model = helper.make_model(helper.make_graph([node], "odd", [], []))
    with Archive(tmp_path / "weights.npz") as archive, pytest.raises(ExportError, match=reason) as caught:
        to_program(model, source, archive, "float32")
    assert "use another engine" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data["steps"][1].update(op="Magic"), "Magic is not known to this runtime: upgrade"),
        (lambda data: data["steps"][1]["attributes"].update(magic=1), "attribute magic, which this runtime does not"),
        (lambda data: data["steps"].pop(1), "reads 'features.conv1d', which no step before it gives"),
        (lambda data: data["steps"].reverse(), "which no step before it gives"),
        (lambda data: data["steps"].append(data["steps"][-1]), "once more"),
        (lambda data: data["steps"][1].pop("inputs"), r"steps\[1\].inputs is missing"),
        (lambda data: data["weights"].update(extra="nowhere"), "lacks the weight 'nowhere'"),
        (lambda data: data.update(format=2), "expected format 1, got 2: upgrade"),
        (lambda data: data["outputs"][0].update(name="other"), "no step gives the output 'other'"),
    ],
)
def test_programs_that_do_not_fit_are_refused_at_load(
    case_of: Any, tmp_path: Path, program: dict[str, Any], change: Any, reason: str
) -> None:
    change(program)
    with pytest.raises(BundleError, match=reason) as caught:
        load(tmp_path, program, case_of(KIND, "numpy").bundle / "weights.npz")
    assert "\n" not in str(caught.value)


def test_an_archive_that_is_none(tmp_path: Path, program: dict[str, Any]) -> None:
    (tmp_path / "weights.npz").write_bytes(b"PK no archive")
    with pytest.raises(EngineError, match=r"numpy cannot load graph.json: .") as caught:
        load(tmp_path, program, tmp_path / "weights.npz")
    assert "\n" not in str(caught.value)
    with pytest.raises(BundleError, match="names weights, the manifest no file of them"):
        load(tmp_path, program)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "expected input_values as float32 with 2 axes, got none"),
        ({"input_values": np.zeros((1, 4000))}, "got float64 with 2"),
        ({"input_values": np.zeros(4000, np.float32)}, "got float32 with 1"),
        ({"input_values": np.zeros((1, 3), np.float32)}, "frames are fewer than the kernel"),
    ],
)
def test_inputs_that_do_not_fit(case_of: Any, inputs: dict[str, Any], reason: str) -> None:
    bundle = open_bundle(case_of(KIND, "numpy").bundle)
    spec = bundle.manifest.graphs["single"]
    graph = engine.Engine(1).load(bundle.path(spec.file), bundle.path("weights.npz"), spec.inputs, spec.outputs)
    with pytest.raises(EngineError, match=rf"numpy failed in single.json: .*{reason}"):
        graph.run(inputs)


def test_graphs_share_the_arrays_of_their_weights(case_of: Any) -> None:
    bundle = open_bundle(case_of(KIND, "numpy").bundle)
    loaded = engine.Engine(1)
    first, second = (
        loaded.load(bundle.path(spec.file), bundle.path("weights.npz"), spec.inputs, spec.outputs)
        for spec in (bundle.manifest.graphs["single"], bundle.manifest.graphs["batch"])
    )
    shared = {id(array) for array in first._constants.values()} & {id(array) for array in second._constants.values()}
    assert len(shared) > 30
    assert all(not array.flags.writeable for graph in (first, second) for array in graph._constants.values())
