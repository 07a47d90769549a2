"""The export as a whole: what stops it, and that nothing is left behind when it stops."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from checkpoints import make_checkpoint
from edgespeech_export import ExportError, ExportOptions, ProofError, TargetExistsError, export
from edgespeech_export.proof.heads import HeadReference
from edgespeech_export.writers import tracing
from edgespeech_export.writers.traced_graph import TracedGraph
from edgespeech_export.writers.weight_store import WeightStore, round_weights, store_as
from edgespeech_runtime.errors import EnginePackageError
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import nn

from edgespeech.errors import CheckpointError, MissingFileError


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json", "vocab.json"])
def test_a_checkpoint_without_one_of_its_files(checkpoint_of: Any, tmp_path: Path, name: str) -> None:
    source = tmp_path / "checkpoint"
    source.mkdir()
    for path in checkpoint_of("wav2vec2-group").iterdir():
        if path.name not in (name, "processor_config.json"):
            (source / path.name).write_bytes(path.read_bytes())
    with pytest.raises(MissingFileError, match=name.split(".")[0]):
        export(source, tmp_path / "bundle")
    assert written(tmp_path) == ["checkpoint"]


def test_an_existing_target_is_refused_before_the_work(checkpoint_of: Any, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "precious").write_text("mine")
    steps: list[str] = []
    with pytest.raises(TargetExistsError):
        export(checkpoint_of("wav2vec2-group"), target, progress=steps.append)
    assert steps == []
    assert (target / "precious").read_text() == "mine"


def test_options_outside_their_choices() -> None:
    with pytest.raises(ExportError, match="engine must be one of onnx, openvino, numpy, got 'tensorrt'"):
        ExportOptions(engine="tensorrt")  # type: ignore[arg-type]
    with pytest.raises(ExportError, match="precision must be one of float32, float16, got 'int3'"):
        ExportOptions(precision="int3")  # type: ignore[arg-type]


def test_a_graph_that_computes_something_else_is_no_bundle(checkpoint_of: Any, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        trace = tracing.trace

        def spoiled(source: Any, samples: Any) -> TracedGraph:
            model = trace(source, samples).whole()
            for tensor in model.graph.initializer:
                if tensor.name.endswith("lm_head.bias"):
                    values = numpy_helper.to_array(tensor) + np.float32(3e-4)
                    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            return TracedGraph(model, {})

        patch.setattr(tracing, "trace", spoiled)
        with pytest.raises(ProofError, match=r"'single' differs from the reference model by 0\.0003"):
            export(checkpoint_of("wav2vec2-group"), tmp_path / "bundle")
    assert written(tmp_path) == []


def test_an_interruption_during_the_proof_leaves_nothing(
    checkpoint_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HeadReference, "prove", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(checkpoint_of("wav2vec2-group"), tmp_path / "bundle", ExportOptions(engine="openvino"))
    assert written(tmp_path) == []


def test_a_tokenizer_that_does_not_fit_is_named(checkpoint_of: Any, tmp_path: Path) -> None:
    source = tmp_path / "checkpoint"
    source.mkdir()
    for path in checkpoint_of("wav2vec2-group").iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    (source / "vocab.json").write_text('{"a": 0')
    with pytest.raises(CheckpointError, match=r"vocab\.json"):
        export(source, tmp_path / "bundle")
    assert written(tmp_path) == ["checkpoint"]


def graph_with(values: np.ndarray) -> onnx.ModelProto:
    """y = x @ values, with the values as an initializer."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, len(values)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, values.shape[1]])],
        [numpy_helper.from_array(values, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32)
    store = WeightStore(tmp_path / "weights")
    for name in ("a.onnx", "b.onnx"):
        store.save(graph_with(values), tmp_path / name)
    assert (tmp_path / "weights").stat().st_size == values.nbytes
    for name in ("a.onnx", "b.onnx"):
        (tensor,) = onnx.load(tmp_path / name).graph.initializer
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), values)


def test_a_weight_beyond_float16_is_refused() -> None:
    model = nn.Sequential(nn.Linear(50, 40), nn.Linear(40, 50))
    nn.init.constant_(model[1].weight, 7e4)
    with pytest.raises(ExportError, match=r"weight 1\.weight exceeds 65504"):
        round_weights(model)


def test_weights_that_are_too_small_for_float16_are_refused(tmp_path: Path) -> None:
    source = make_checkpoint(tmp_path / "checkpoint", vocab_size=32)
    weights = load_file(source / "model.safetensors")
    weights["lm_head.weight"] *= 1e-6
    weights["lm_head.bias"] *= 0
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ExportError, match="weights in float16 change what the checkpoint computes by"):
        export(source, tmp_path / "bundle", ExportOptions(precision="float16"))
    assert written(tmp_path) == ["checkpoint"]


def test_a_graph_is_stored_in_float16_only_where_that_changes_nothing() -> None:
    exact = np.random.default_rng(0).standard_normal((40, 50)).astype(np.float16).astype(np.float32)
    for values, dtype in ((exact, np.float16), (exact + np.float32(1e-5), np.float32), (exact * 1e6, np.float32)):
        model = graph_with(values)
        store_as(model, "float16")
        (tensor,) = model.graph.initializer
        assert numpy_helper.to_array(tensor).dtype == dtype
        np.testing.assert_array_equal(numpy_helper.to_array(tensor).astype(np.float32), values)


def test_an_engine_that_is_not_installed_is_named_before_the_work(
    checkpoint_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edgespeech_runtime.engines.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    steps: list[str] = []
    with pytest.raises(EnginePackageError, match="openvino is not installed"):
        export(
            checkpoint_of("wav2vec2-group"),
            tmp_path / "bundle",
            ExportOptions(engine="openvino"),
            progress=steps.append,
        )
    assert steps == []
    assert written(tmp_path) == []
