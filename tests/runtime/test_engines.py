"""Both engines load exactly what the manifest describes, and say in one line why they do not."""

import importlib
import os
import subprocess
import sys
from typing import get_args

import numpy as np
import onnx
import pytest
from edgespeech_runtime import engines, load
from edgespeech_runtime.bundle.contracts import Tensor
from edgespeech_runtime.bundle.folder import open_bundle
from edgespeech_runtime.choices import ENGINES, EngineName
from edgespeech_runtime.engines.devices import open_engine
from edgespeech_runtime.engines.graphs import Graphs
from edgespeech_runtime.errors import ArgumentError, BundleError, DeviceError, EngineError, EnginePackageError


@pytest.fixture
def graphs(tiny_bundle, engine):
    single = {"input_values": np.zeros((1, 720), np.float32)}
    examples = {"single": single, "batch": {**single, "input_lengths": np.array([720])}}
    return Graphs(open_bundle(tiny_bundle(engine)), open_engine(engine, "cpu", 1), examples)


def test_engines_compute_the_golden_logits(tiny_bundle, engine, graphs):
    values, logits = open_bundle(tiny_bundle(engine)).arrays("golden.npz", "input_values", "logits")
    np.testing.assert_allclose(graphs.run("single", {"input_values": values})["logits"], logits, atol=1e-4)
    lengths = np.array([values.shape[1]])
    found = graphs.run("batch", {"input_values": values, "input_lengths": lengths})["logits"]
    np.testing.assert_allclose(found, logits, atol=1e-4)


def test_inputs_are_converted_to_the_manifests_types(graphs):
    values = np.zeros((2, 640))[:, ::2]  # float64, and not contiguous
    lengths = np.array([320, 320], np.int32)
    assert graphs.run("batch", {"input_values": values, "input_lengths": lengths})["logits"].shape == (2, 1, 8)


def test_outputs_belong_to_the_caller(graphs):
    first = graphs.run("single", {"input_values": np.ones((1, 640), np.float32)})["logits"]
    before = first.copy()
    graphs.run("single", {"input_values": np.zeros((1, 640), np.float32)})
    np.testing.assert_array_equal(first, before)
    first[:] = 7  # and may be written to


def test_bound_arrays_are_read_anew_in_each_call(graphs):
    binding, random = graphs.bind("single"), np.random.default_rng(0)
    values = np.zeros((1, 640), np.float32)
    binding.set({"input_values": values})
    for samples in (640, 640, 960, 960):  # calls of the same shape, and of another
        if samples != values.shape[1]:
            values = np.zeros((1, samples), np.float32)
            binding.set({"input_values": values})
        values[:] = random.standard_normal(values.shape)
        expected = graphs.run("single", {"input_values": values})["logits"]
        np.testing.assert_array_equal(binding.run()["logits"], expected)


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_devices_and_threads(tiny_bundle, engine, say, device, threads):
    assert load(tiny_bundle(engine), device=device, threads=threads).transcribe(say("AB")).text == "AB"


@pytest.mark.parametrize("device", ["gpu", "NPU", "", None])
def test_devices_that_are_not_offered(tiny_bundle, engine, device):
    with pytest.raises(DeviceError, match="is not offered here: use 'cpu', or 'auto' for the best of them"):
        load(tiny_bundle(engine), device=device)


@pytest.mark.parametrize("threads", [0, -1, 1.0, "2", True])
def test_impossible_numbers_of_threads(tiny_bundle, engine, threads):
    with pytest.raises(ArgumentError, match="threads: expected a whole number of at least 1, or None"):
        load(tiny_bundle(engine), threads=threads)


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_package_is_named_with_the_way_out(tiny_bundle, monkeypatch, name, package):
    folder = tiny_bundle(name)
    monkeypatch.delitem(sys.modules, f"edgespeech_runtime.engines.{name}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnginePackageError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"this bundle runs on {name}, but the package {package} is not installed: "
        f"pip install edgespeech-runtime[{name}]"
    )
    assert isinstance(caught.value, EngineError)
    assert isinstance(caught.value, ImportError)


def test_a_package_that_cannot_be_imported_says_why():
    error = EnginePackageError("onnx", "onnxruntime", ImportError("libfoo.so: cannot open shared object file"))
    assert "cannot be imported (libfoo.so: cannot open shared object file)" in str(error)


def test_a_file_that_is_no_graph(tiny_bundle, rewrite, engine):
    folder = tiny_bundle(engine)
    file = {"onnx": "single.onnx", "openvino": "openvino_model.xml", "numpy": "single.json"}[engine]
    (folder / file).write_bytes(b"this is no graph")
    rewrite(folder, lambda data: None)
    with pytest.raises(EngineError, match=rf"cannot load {file}: .") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda graph: graph["inputs"][0].update(dtype="float16"), "gives 'input_values' as float16 with 2 axes"),
        (lambda graph: graph["inputs"][0].update(axes=["samples"]), "gives 'input_values' as float32 with 1 axes"),
        (lambda graph: graph["outputs"][0].update(dtype="int64"), "gives 'logits' as int64 with 3 axes"),
    ],
)
def test_a_graph_that_differs_from_the_table(tiny_bundle, rewrite, engine, change, message):
    folder = tiny_bundle(engine)
    rewrite(folder, lambda data: change(data["graphs"]["single"]))
    with pytest.raises(BundleError, match=message + r".*: export the bundle again"):
        load(folder)


def test_a_graph_with_other_tensors(tiny_bundle, rewrite, engine):
    folder = tiny_bundle(engine)

    def swap(data):
        data["graphs"]["single"]["file"] = data["graphs"]["batch"]["file"]
        data["graphs"]["single"]["weights"] = data["graphs"]["batch"]["weights"]

    rewrite(folder, swap)
    with pytest.raises(BundleError, match="'input_lengths' is not in the manifest's inputs: export the bundle again"):
        load(folder)


def test_a_graph_that_lacks_a_tensor(tiny_bundle, engine):
    bundle = open_bundle(tiny_bundle(engine))
    spec = bundle.manifest.graphs["single"]
    extra = (*spec.outputs, Tensor("embeddings", "float32", ("batch", "width")))
    with pytest.raises(BundleError, match="the outputs lack 'embeddings', which the manifest lists"):
        open_engine(engine, "cpu", 1).load(bundle.path(spec.file), bundle.path(spec.weights), spec.inputs, extra)


def test_a_run_that_fails_is_one_line(graphs):
    with pytest.raises(EngineError, match=r"failed in .*: .") as caught:
        graphs.run("single", {"input_values": np.zeros((1, 1, 320), np.float32)})
    assert "\n" not in str(caught.value)
    assert graphs.run("single", {"input_values": np.zeros((1, 320), np.float32)})["logits"].shape == (1, 1, 8)


def test_every_engine_of_the_manifest_has_a_module():
    assert set(ENGINES) == set(get_args(EngineName)) == {"onnx", "openvino", "numpy"}
    for facts in ENGINES.values():
        assert importlib.import_module(f".{facts.module}", engines.__name__).Engine


def test_openvino_computes_in_float32_with_the_threads_given(tiny_bundle):
    from edgespeech_runtime.engines.openvino import Engine

    bundle = open_bundle(tiny_bundle("openvino"))
    spec = bundle.manifest.graphs["single"]
    graph = Engine(1).load(bundle.path(spec.file), bundle.path(spec.weights), spec.inputs, spec.outputs)
    assert graph.requests().compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert graph.requests().compiled.get_property("INFERENCE_NUM_THREADS") == 1


def test_openvino_calls_nobody(tiny_bundle):
    """Its telemetry starts threads on import; none may be there, and the toolchain's conversion must still work."""
    code = (
        "import sys, threading, edgespeech_runtime\n"
        "edgespeech_runtime.load(sys.argv[1], threads=1)\n"
        "assert not any('telemetry' in name for name in sys.modules if name.startswith('openvino_')), 'loaded'\n"
        "names = {thread.name for thread in threading.enumerate()}\n"
        "assert names <= {'MainThread', 'edgespeech-signals'}, names\n"
        "import openvino\n"
        "openvino.convert_model(sys.argv[2])\n"
    )
    single = tiny_bundle("onnx") / "single.onnx"
    onnx.checker.check_model(str(single))
    subprocess.run([sys.executable, "-c", code, tiny_bundle("openvino"), single], check=True, timeout=120)


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_written_outside_the_cache(tiny_bundle, tmp_path, engine):
    """The telemetry of onnxruntime keeps a database in the home folder, from its import on."""
    home = tmp_path / "home"
    home.mkdir()
    code = "import sys, edgespeech_runtime as e\nwith e.load(sys.argv[1]) as model: model.self_check()"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment = {**kept, "HOME": str(home), "EDGESPEECH_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code, tiny_bundle(engine)], env=environment, check=True, timeout=120)
    assert list(home.iterdir()) == []
