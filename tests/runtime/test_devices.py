"""A wish for a device means what this machine has, in order; what computes garbage is passed over, and said so."""

import importlib
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from edgespeech_runtime import DeviceWarning, devices, load, register_provider
from edgespeech_runtime.bundle import cache
from edgespeech_runtime.engines import Device, onnx_providers
from edgespeech_runtime.engines import onnx as onnx_engine
from edgespeech_runtime.engines.devices import candidates
from edgespeech_runtime.errors import DeviceError, EngineError, SelfCheckError

CPU = Device("onnx:CPUExecutionProvider", "cpu", "onnx", "onnxruntime 9")
GPU = Device("onnx:CUDAExecutionProvider", "gpu", "onnx", "onnxruntime 9")
NPU = Device("onnx:QNNExecutionProvider", "npu", "onnx", "onnxruntime 9", static=True)


@pytest.fixture
def all_kinds(monkeypatch):
    """A machine that has them all."""
    monkeypatch.setattr(onnx_engine, "offered", lambda: [CPU, GPU, NPU])


@pytest.fixture
def broken(monkeypatch):
    """`broken(fault)`: a GPU whose every output passes through `fault`; other devices are the real ones."""
    real = onnx_engine.offered()

    class Faulty(onnx_engine.Engine):
        def __init__(self, threads, device, precision, streams):
            self.faulty = device.kind == "gpu"
            super().__init__(threads, real[-1], precision, streams)
            self.device = device

        def load(self, *arguments):
            graph = super().load(*arguments)
            if self.faulty:
                run = graph.run
                graph.run = lambda inputs: {name: fault[0](value) for name, value in run(inputs).items()}
            return graph

    fault = []
    monkeypatch.setattr(onnx_engine, "offered", lambda: [GPU, *real])
    monkeypatch.setattr(onnx_engine, "Engine", Faulty)
    return fault.append


def test_devices_lists_what_the_engines_offer():
    found = devices()
    assert {"onnx:CPUExecutionProvider", "openvino:CPU"} <= {device.name for device in found}
    kinds = [device.kind for device in found]
    assert kinds == sorted(kinds, key=["gpu", "npu", "cpu"].index)
    for device in found:
        assert device.library.startswith(("onnxruntime", "openvino", "numpy"))
        assert device.precisions


@pytest.mark.parametrize(
    ("wish", "static", "expected"),
    [
        ("cpu", False, [CPU]),
        ("gpu", False, [GPU]),
        ("npu", True, [NPU]),
        ("auto", False, [GPU, CPU]),
        ("auto", True, [GPU, NPU, CPU]),
        (["npu", "cpu"], False, [CPU]),
        (["cpu", "gpu", "cpu"], False, [CPU, GPU]),
        (("npu", "auto"), True, [NPU, GPU, CPU]),
        ("onnx:CUDAExecutionProvider", False, [GPU]),
        (["onnx:MIGraphXExecutionProvider", "gpu"], False, [GPU]),
    ],
)
def test_a_wish_means_devices_in_order(all_kinds, wish, static, expected):
    assert candidates("onnx", wish, static) == expected


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("tpu", r"'tpu' is not offered here: use 'gpu', 'npu', 'cpu', or 'auto'.*CUDAExecutionProvider"),
        ("onnx:Foo", "'onnx:Foo' is not offered here"),
        ([], "is not offered here"),
        ("npu", "QNNExecutionProvider needs graphs of fixed shapes.*--static"),
        ("openvino:GPU", "for bundles of openvino, this one is for onnx"),
    ],
)
def test_what_is_not_there(all_kinds, wish, said):
    with pytest.raises(DeviceError, match=said):
        candidates("onnx", wish)


@pytest.mark.parametrize(("kind", "package"), [("gpu", "onnxruntime-gpu"), ("npu", "onnxruntime-qnn")])
def test_the_package_to_install_is_named(monkeypatch, kind, package):
    monkeypatch.setattr(onnx_engine, "offered", lambda: [CPU])
    with pytest.raises(DeviceError, match=f"{kind}' comes with .*{package}"):
        candidates("onnx", kind)


def test_openvino_devices_can_be_combined(tiny_bundle, say):
    openvino = importlib.import_module("edgespeech_runtime.engines.openvino")
    with load(tiny_bundle("openvino"), device="openvino:HETERO:CPU") as model:
        assert model.transcribe(say("AB")).text == "AB"
    assert openvino.combined("HETERO:NPU,CPU", openvino.offered()) is None or len(openvino.offered()) > 1
    with pytest.raises(DeviceError, match="not offered"):
        load(tiny_bundle("openvino"), device="openvino:HETERO:FPGA")


def test_placement_says_what_ran(tiny_bundle, engine, say):
    with load(tiny_bundle(engine)) as model:
        model.transcribe([say("A"), say("ABB")])
        found = model.placement()
    assert "single" in found
    for shares in found.values():
        assert [share.provider for share in shares] == [{"onnx": "CPUExecutionProvider"}.get(engine, "CPU")]
        assert shares[0].nodes > 0
        assert shares[0].seconds > 0


def test_placement_shows_a_device_that_leaves_work_to_the_cpu(tiny_bundle, monkeypatch, tmp_path):
    """Two providers in one profile are two shares, the busier one first."""
    events = [
        {"cat": "Node", "name": "a_kernel_time", "dur": 5, "args": {"provider": "X"}},
        {"cat": "Node", "name": "b_kernel_time", "dur": 9, "args": {"provider": "CPUExecutionProvider"}},
        {"cat": "Node", "name": "c_kernel_time", "dur": 6, "args": {"provider": "X"}},
        {"cat": "Node", "name": "c_kernel_time", "dur": 2, "args": {"provider": "X"}},
        {"cat": "Session", "name": "model_run", "dur": 99, "args": {}},
    ]
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(events))
    with load(tiny_bundle()) as model:
        graph = model._graphs._graph("single")
        session = type("Session", (), {"run": lambda *_: None, "end_profiling": lambda _: str(profile)})
        monkeypatch.setattr(graph._engine, "session", lambda *_: session())
        shares = graph.placement({"input_values": np.zeros((1, 640), np.float32)})
    assert [(share.provider, share.nodes) for share in shares] == [("CPUExecutionProvider", 1), ("X", 2)]
    np.testing.assert_allclose([share.seconds for share in shares], [9e-6, 7e-6])


@pytest.mark.parametrize(
    "fault",
    [lambda x: x * 0, lambda x: x + 1, lambda x: np.full_like(x, np.nan), lambda x: x[:, ::-1], lambda x: x[:, :1]],
    ids=["zeros", "shifted", "nan", "reversed", "shortened"],
)
def test_garbage_is_caught_named_and_passed_over(tiny_bundle, say, broken, fault):
    broken(fault)
    with pytest.warns(DeviceWarning, match=r"CUDAExecutionProvider: self-check: .*; going on with onnx:CPU"):
        model = load(tiny_bundle(), device=["gpu", "cpu"])
    assert model.transcribe(say("AB")).text == "AB"
    assert model.device.kind == "cpu"


def test_garbage_without_another_device_is_refused(tiny_bundle, broken):
    broken(lambda x: x * 0)
    with pytest.raises(SelfCheckError, match="the logits differ by"):
        load(tiny_bundle(), device="gpu")
    assert load(tiny_bundle(), device="gpu", self_check="never").device.kind == "gpu"


def test_a_device_that_does_not_load_is_passed_over(tiny_bundle, broken, monkeypatch):
    def refuse(engine, *_):
        if engine.faulty:
            raise EngineError("no room")
        return real(engine, *_)

    real = onnx_engine.Engine.load
    broken(lambda x: x)
    monkeypatch.setattr(onnx_engine.Engine, "load", refuse)
    with pytest.warns(DeviceWarning, match="CUDAExecutionProvider: no room; going on with"):
        assert load(tiny_bundle(), device="auto").device.kind == "cpu"


class Counted:
    """Counts the self-checks of a model class."""

    def __init__(self, monkeypatch):
        from edgespeech_runtime import CtcModel

        self.count, real = 0, CtcModel.self_check

        def counting(model):
            self.count += 1
            return real(model)

        monkeypatch.setattr(CtcModel, "self_check", counting)


@pytest.fixture
def counted(monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return Counted(monkeypatch)


def test_a_self_check_is_remembered_for_each_bundle_and_device(tiny_bundle, engine, counted):
    folder = tiny_bundle(engine)
    for mode, checks in (("once", 1), ("once", 1), ("never", 1), ("always", 2), ("once", 2)):
        load(folder, self_check=mode).close()
        assert counted.count == checks
    load(folder, precision="fast").close()
    assert counted.count == 3


def test_a_failure_is_remembered_too(tiny_bundle, broken, counted):
    folder = tiny_bundle()
    broken(lambda x: x * 0)
    for expected in ("allowed", "found earlier; self_check='always'"):
        with pytest.raises(SelfCheckError, match=expected):
            load(folder, device="gpu")
    assert counted.count == 1
    with pytest.raises(SelfCheckError):
        load(folder, device="gpu", self_check="always")
    assert counted.count == 2


def test_a_new_driver_is_checked_again(tiny_bundle, counted, monkeypatch):
    folder, real = tiny_bundle(), onnx_engine.offered()
    load(folder).close()
    monkeypatch.setattr(onnx_engine, "offered", lambda: [replace(device, driver="another") for device in real])
    load(folder).close()
    assert counted.count == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"failure": ""}', b"\0" * 40])
def test_a_damaged_result_counts_as_none(tiny_bundle, counted, content):
    folder = tiny_bundle()
    load(folder).close()
    (stored,) = (cache.folder() / "self-checks").iterdir()
    stored.write_bytes(content)
    load(folder).close()
    assert counted.count == 2
    load(folder).close()
    assert counted.count == 2


def test_a_cache_that_cannot_be_written_is_no_error(tiny_bundle, counted, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    for checks in (1, 2):
        load(tiny_bundle()).close()
        assert counted.count == checks


def test_unknown_modes(tiny_bundle):
    with pytest.raises(ValueError, match="self_check: expected 'always', 'once' or 'never', got 'sometimes'"):
        load(tiny_bundle(), self_check="sometimes")
    with pytest.raises(ValueError, match="precision: expected 'exact' or 'fast', got 'int4'"):
        load(tiny_bundle(), precision="int4")


def test_a_device_that_is_missing_writes_nothing(tiny_bundle, counted):
    with pytest.raises(DeviceError), warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tiny_bundle(), device="npu")
    assert not cache.folder().exists()


def test_a_plug_in_that_is_no_library(tmp_path):
    with pytest.raises(EngineError, match="cannot load the provider MyExecutionProvider"):
        register_provider("MyExecutionProvider", tmp_path / "libmine.so")
    assert "onnx:MyExecutionProvider" not in {device.name for device in devices()}


class Cuda:
    """A driver with `count` GPUs, as ctypes shows it: functions that write where they are pointed to."""

    def __init__(self, count):
        self.count = count

    def cuInit(self, flags):
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = self.count
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = 12040

    def cuDeviceGet(self, device, index):
        device._obj.value = index

    def cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA Something"


@pytest.mark.parametrize(("count", "expected"), [(0, None), (1, "NVIDIA Something, CUDA 12.4")])
def test_a_gpu_is_known_by_its_name_and_driver(monkeypatch, count, expected):
    """What is remembered of a GPU holds for it and its driver alone."""
    monkeypatch.setattr(onnx_providers.ctypes, "CDLL", lambda name: Cuda(count))
    assert onnx_providers.nvidia() == expected
    assert onnx_providers.has_nvidia() is (count > 0)
