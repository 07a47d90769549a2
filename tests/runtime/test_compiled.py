"""What was compiled for a device is kept and read; what is damaged, stale or refused is compiled again, never trusted.

The CPU is taken for a device that is slow to compile for. OpenVINO really writes what it compiled; onnxruntime's CPU
provider has no compiler, so that a copy of the graph with its weights inside stands for what it would write.
"""

import contextlib
import importlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import onnx
import pytest
from edgespeech_runtime import load
from edgespeech_runtime.bundle import cache
from edgespeech_runtime.engines import compiled
from edgespeech_runtime.engines import onnx as onnx_engine
from edgespeech_runtime.errors import BundleError, EngineError

CPU = "CPUExecutionProvider"


@pytest.fixture(params=["onnx", "openvino"])
def slow(request, monkeypatch, tmp_path):
    """The name of an engine whose CPU is slow to compile for."""
    module = importlib.import_module(f"edgespeech_runtime.engines.{request.param}")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(module, "SLOW", ("cpu",))
    monkeypatch.setitem(onnx_engine.PROVIDERS, CPU, replace(onnx_engine.PROVIDERS[CPU], compiles=True))
    return request.param


@pytest.fixture
def compiles(slow, monkeypatch):
    """Counts what is compiled."""
    engine = importlib.import_module(f"edgespeech_runtime.engines.{slow}").Engine
    count, real = [], engine.compile
    if slow == "onnx":
        real = lambda _, file: onnx.load(file).SerializeToString()  # noqa: E731
    monkeypatch.setattr(engine, "compile", lambda *arguments, **more: (count.append(1), real(*arguments, **more))[1])
    return count


def blobs():
    return list((cache.folder() / "compiled").iterdir())


def require_text(folder, say, **options):
    with load(folder, **options) as model:
        assert model.transcribe(say("AB")).text == "AB"


def test_what_was_compiled_is_kept(tiny_bundle, say, slow, compiles):
    for _ in range(2):
        require_text(tiny_bundle(slow), say)
        assert len(compiles) == 1


def test_other_settings_are_compiled_for_themselves(tiny_bundle, slow, compiles, monkeypatch):
    load(tiny_bundle(slow)).close()
    if slow == "openvino":
        load(tiny_bundle(slow), threads=1).close()
    else:
        other = replace(onnx_engine.PROVIDERS[CPU], exact={"a": "b"})
        monkeypatch.setitem(onnx_engine.PROVIDERS, CPU, other)
        load(tiny_bundle(slow)).close()
    assert len(compiles) == 2


@pytest.mark.parametrize("facts", [{"library": "another"}, {"driver": "another"}])
def test_another_version_compiles_for_itself(tiny_bundle, slow, compiles, monkeypatch, facts):
    module = importlib.import_module(f"edgespeech_runtime.engines.{slow}")
    load(tiny_bundle(slow)).close()
    offered = [replace(device, **facts) for device in module.offered()]
    monkeypatch.setattr(module, "offered", lambda: offered)
    load(tiny_bundle(slow)).close()
    assert len(compiles) == 2


def test_nothing_is_kept_for_a_device_that_is_fast(tiny_bundle, say, engine, monkeypatch, tmp_path):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    require_text(tiny_bundle(engine), say, self_check="never")
    assert not cache.folder().exists()


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: content * 2])
def test_a_damaged_blob_is_compiled_again(tiny_bundle, say, slow, compiles, damage):
    load(tiny_bundle(slow)).close()
    (blob,) = blobs()
    whole = blob.read_bytes()
    blob.write_bytes(damage(whole))
    require_text(tiny_bundle(slow), say)
    assert len(compiles) == 2
    assert blob.read_bytes() != damage(whole)
    require_text(tiny_bundle(slow), say)
    assert len(compiles) == 2


def test_a_blob_that_the_engine_refuses_is_compiled_again(tiny_bundle, say, slow, compiles):
    load(tiny_bundle(slow)).close()
    (blob,) = blobs()
    cache.write("compiled", blob.name, b"of another version")
    for _ in range(2):
        require_text(tiny_bundle(slow), say)
        assert len(compiles) == 2


def test_another_bundle_has_another_blob(tiny_bundle, rewrite, slow, compiles):
    folder = tiny_bundle(slow)
    load(folder).close()
    weights = next(path for path in folder.iterdir() if path.suffix in (".bin", ".data"))
    weights.write_bytes(weights.read_bytes() + b"\0")
    rewrite(folder, lambda data: None)
    load(folder).close()
    assert len(compiles) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tiny_bundle, say, slow, compiles, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    for count in (1, 2):
        require_text(tiny_bundle(slow), say)
        assert len(compiles) == count


def test_a_provider_that_can_write_nothing_runs_all_the_same(tiny_bundle, say, slow):
    """onnxruntime's own answer: its CPU provider compiles no node."""
    if slow != "onnx":
        pytest.skip("OpenVINO writes what it compiles for a CPU")
    require_text(tiny_bundle(slow), say, self_check="never")
    assert not cache.folder().exists()
    with pytest.raises(EngineError, match=r"onnxruntime cannot compile single.onnx: .*"):
        onnx_engine.Engine(1).compile(tiny_bundle() / "single.onnx")


def test_what_ran_where_is_asked_of_what_was_kept(tiny_bundle, slow, compiles):
    with load(tiny_bundle(slow)) as model:
        assert model.placement()["single"][0].nodes > 0
        # OpenVINO counts in a form that is compiled for that.
        assert len(compiles) == {"onnx": 1, "openvino": 2}[slow]


def test_a_program_can_show_that_a_graph_is_being_compiled(tiny_bundle, slow, compiles, monkeypatch):
    said = []

    @contextlib.contextmanager
    def watcher(file, device):
        said.append((file, device, len(compiles)))
        yield
        said.append(len(compiles))

    monkeypatch.setattr(compiled, "_watchers", [])
    compiled.watch(watcher)
    for _ in range(2):
        with load(tiny_bundle(slow)) as model:
            file, device = model.manifest.graphs["single"].file, model.device.name
    assert said == [(file, device, 0), 1]


TWO = """
import sys
from edgespeech_runtime import load
from edgespeech_runtime.engines import openvino
import numpy as np
openvino.SLOW = ("cpu",)
for _ in range(3):
    with load(sys.argv[1], threads=1, self_check="always") as model:
        model.logits(np.zeros(640, np.float32))
"""


def test_two_processes_compile_at_once(tiny_bundle, monkeypatch, tmp_path):
    pytest.importorskip("edgespeech_runtime.engines.openvino")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    command = [sys.executable, "-c", TWO, tiny_bundle("openvino")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[1] for process in running] == ["", ""]
    assert [process.returncode for process in running] == [0, 0]
    (blob,) = blobs()  # and nothing half-written beside it
    assert cache.read("compiled", blob.name) is not None


def test_many_writers_of_one_blob(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    contents = [bytes([number]) * 10_000 for number in range(16)]

    def work(content):
        cache.write("compiled", "one", content)
        return cache.read("compiled", "one")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, contents)) <= set(contents)
    assert [path.name for path in (tmp_path / "compiled").iterdir()] == ["one"]


@pytest.fixture
def precompiled(tiny_bundle, rewrite):
    """`precompiled(content, **facts)`: a bundle whose graph was compiled beforehand to `content`, for the CPU."""

    def make(content=None, **facts):
        folder = tiny_bundle()
        device = onnx_engine.Engine(1).device
        whole = onnx.load(folder / "single.onnx").SerializeToString()
        (folder / "single.cpu.onnx").write_bytes(whole if content is None else content)
        entry = {"file": "single.cpu.onnx", "device": device.name, "library": device.library, **facts}

        def change(data):
            data["files"]["single.cpu.onnx"] = {"bytes": 0, "sha256": "0" * 64}  # `rewrite` lists what it finds
            data["graphs"]["single"]["compiled"] = [entry]

        rewrite(folder, change)
        return folder

    return make


@pytest.fixture
def opened(monkeypatch):
    """Names of the files that sessions are opened of."""
    names, real = [], onnx_engine.Engine.session
    monkeypatch.setattr(
        onnx_engine.Engine,
        "session",
        lambda engine, file, *more: (names.append(file.name), real(engine, file, *more))[1],
    )
    return names


def test_what_was_compiled_for_this_device_is_taken(precompiled, opened, say):
    folder = precompiled()
    require_text(folder, say)
    assert opened == ["single.cpu.onnx"]


@pytest.mark.parametrize("facts", [{"device": "onnx:QNNExecutionProvider"}, {"library": "onnxruntime 0.1"}])
def test_what_was_compiled_for_another_is_not(precompiled, opened, say, facts):
    require_text(precompiled(**facts), say)
    assert opened == ["single.onnx"]


def test_what_the_device_refuses_is_replaced(precompiled, opened, say):
    require_text(precompiled(b"of another kind of chip"), say)
    assert opened == ["single.cpu.onnx", "single.onnx"]


def test_a_compiled_graph_that_was_changed_is_refused(precompiled):
    folder = precompiled()
    content = (folder / "single.cpu.onnx").read_bytes()
    (folder / "single.cpu.onnx").write_bytes(content[:-1] + b"\0")
    with pytest.raises(BundleError, match=r"single.cpu.onnx does not match its checksum"):
        load(folder)


def test_a_compiled_graph_that_is_not_listed_is_refused(precompiled, rewrite):
    folder = precompiled()
    rewrite(folder, lambda data: data["files"].pop("single.cpu.onnx"))
    with pytest.raises(BundleError, match=r"graphs.single: 'single.cpu.onnx' is not listed in files"):
        load(folder)
