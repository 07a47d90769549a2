"""`edgespeech export`: what it says and writes, and that bad input leaves nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections import namedtuple

import edgespeech_runtime
import numpy as np
import pytest
import safetensors.torch
from edgespeech_export import ExportError, ExportOptions
from edgespeech_export import folder as export_folder
from edgespeech_export.proof import proof

Usage = namedtuple("Usage", "total used free")


def edit(path, **changes):
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")


def everything(folder):
    """Names and contents of all files and folders below a folder, hidden ones included."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def place(tmp_path):
    """An empty folder for bundles."""
    folder = tmp_path / "bundles"
    folder.mkdir()
    return folder


def test_the_bundle_runs_and_its_proof_is_told(run, checkpoint, place, engine, speech):
    result = run("export", checkpoint, place / "tiny", "--engine", engine)
    assert result.exit_code == 0
    name = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}[engine]
    assert result.stdout.startswith(f"{place / 'tiny'}: ctc on {name}, float32\n")
    for said in (
        "largest difference",
        "is allowed",
        "the same in every frame",
        "inputs of 1 to",
        "size",
        "x real time",
    ):
        assert said in result.stdout
    assert "  reading the checkpoint\n" in result.stderr
    assert list(place.iterdir()) == [place / "tiny"]
    with edgespeech_runtime.load(place / "tiny") as model:
        assert model.manifest.engine == engine
        assert model.logits(speech(0.1)).shape[1] == 32


def test_json_is_all_there_is_on_stdout(run, checkpoint, place):
    result = run("export", checkpoint, place / "tiny", "--json", "--precision", "float16", "--quiet")
    report = json.loads(result.stdout)
    manifest = json.loads((place / "tiny" / "edgespeech.json").read_text(encoding="utf-8"))
    assert report["precision"] == manifest["precision"] == "float16"
    assert report["report"] == manifest["report"]
    assert report["files"] == {name: file["bytes"] for name, file in manifest["files"].items()}
    assert result.stderr == ""


def test_a_bundle_is_replaced_only_by_force(run, refused, checkpoint, bundle, place):
    (place / "tiny").mkdir()
    (place / "tiny" / "mine.txt").write_text("mine", encoding="utf-8")
    assert "exists" in refused("export", checkpoint, place / "tiny")
    assert (place / "tiny" / "mine.txt").read_text(encoding="utf-8") == "mine"
    assert run("export", checkpoint, place / "tiny", "--force").exit_code == 0
    assert everything(place / "tiny").keys() == everything(bundle).keys()
    assert list(place.iterdir()) == [place / "tiny"]


@pytest.mark.parametrize("force", [False, True])
def test_a_failed_proof_writes_nothing_and_keeps_what_was_there(refused, checkpoint, place, monkeypatch, force):
    if force:
        (place / "tiny").mkdir()
        (place / "tiny" / "old").write_text("old", encoding="utf-8")
    before = everything(place)
    monkeypatch.setattr(proof, "FLOOR", 1e-12)
    monkeypatch.setattr(proof, "MULTIPLE", 1e-3)
    line = refused("export", checkpoint, place / "tiny", *(["--force"] if force else []))
    assert "'single' differs from the reference model" in line
    assert everything(place) == before


def test_options_reach_the_export(refused, monkeypatch):
    def tell(checkpoint, bundle, options, progress):
        raise ExportError(f"{checkpoint} {bundle} {options}")

    monkeypatch.setattr("edgespeech_export.export", tell)
    flags = ["--engine", "openvino", "--precision", "float16", "--target-lang", "deu", "--force"]
    options = ExportOptions("openvino", "float16", "deu", force=True)
    assert refused("export", "mms", "out", *flags) == f"mms out {options}"
    assert refused("export", "mms", "out") == f"mms out {ExportOptions()}"


def no_folder(checkpoint):
    for path in checkpoint.iterdir():
        path.unlink()
    checkpoint.rmdir()


def no_config(checkpoint):
    (checkpoint / "config.json").unlink()


def no_weights(checkpoint):
    (checkpoint / "model.safetensors").unlink()


def no_vocabulary(checkpoint):
    (checkpoint / "vocab.json").unlink()


def damaged_config(checkpoint):
    (checkpoint / "config.json").write_text('{"model_type": "wav2vec2"', encoding="utf-8")


def unknown_family(checkpoint):
    edit(checkpoint / "config.json", model_type="whisper")


def another_size(checkpoint):
    edit(checkpoint / "config.json", hidden_size=48)


def one_layer_more(checkpoint):
    edit(checkpoint / "config.json", num_hidden_layers=2)


def impossible_heads(checkpoint):
    edit(checkpoint / "config.json", num_attention_heads=5)


def truncated_weights(checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def weights_that_are_none(checkpoint):
    (checkpoint / "model.safetensors").write_bytes(b"<html>404 Not Found</html>")


def one_weight_less(checkpoint):
    weights = safetensors.torch.load_file(checkpoint / "model.safetensors")
    del weights["lm_head.bias"]
    safetensors.torch.save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})


def a_file(checkpoint):
    no_folder(checkpoint)
    checkpoint.write_text("not a folder", encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_folder, "no checkpoint folder at"),
        (a_file, "got the file"),
        (no_config, "config.json is missing"),
        (no_weights, "model.safetensors"),
        (no_vocabulary, "vocab.json"),
        (damaged_config, "not valid JSON"),
        (unknown_family, "'whisper'"),
        (another_size, "has shape"),
        (one_layer_more, "weights missing"),
        (impossible_heads, "num_attention_heads"),
        (truncated_weights, "not a readable safetensors file"),
        (weights_that_are_none, "not a readable safetensors file"),
        (one_weight_less, "lm_head.bias"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_checkpoint_that_cannot_be_read(refused, a_checkpoint, place, damage, said):
    damage(a_checkpoint)
    assert said in refused("export", a_checkpoint, place / "tiny")
    assert everything(place) == {}


def test_a_language_that_there_is_not(refused, checkpoint, place):
    assert "adapter" in refused("export", checkpoint, place / "tiny", "--target-lang", "deu")
    assert everything(place) == {}


def test_a_bundle_cannot_be_written_over_its_checkpoint(refused, a_checkpoint):
    before = everything(a_checkpoint)
    assert "holds the checkpoint" in refused("export", a_checkpoint, a_checkpoint, "--force")
    assert everything(a_checkpoint) == before


def test_a_file_in_the_place_of_the_bundle(refused, checkpoint, place):
    (place / "tiny").write_text("mine", encoding="utf-8")
    before = everything(place)
    assert "is not a folder" in refused("export", checkpoint, place / "tiny", "--force")
    assert "is not a folder" in refused("export", checkpoint, place / "tiny")
    refused("export", checkpoint, place / "tiny" / "below")
    assert everything(place) == before


def test_a_disk_that_is_too_full_is_seen_before_the_work(refused, checkpoint, place, monkeypatch):
    monkeypatch.setattr(export_folder.shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 10**5))
    line = refused("export", checkpoint, place / "tiny")
    assert "0.1 MB free" in line
    assert everything(place) == {}


def test_a_file_that_may_grow_no_further(refused, checkpoint, place, engine):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        line = refused("export", checkpoint, place / "deep" / "tiny", "--engine", engine)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the disk is full" in line
    assert everything(place) == {}


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 64 kB, for those who may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)  # noqa: S607
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)  # noqa: S607


def test_a_disk_that_fills_up(refused, checkpoint, small_disk, monkeypatch):
    monkeypatch.setattr(export_folder.shutil, "disk_usage", lambda path: Usage(10**9, 0, 10**9))  # full a moment later
    assert "the disk is full" in refused("export", checkpoint, small_disk / "tiny")
    assert everything(small_disk) == {}


@pytest.mark.skipif(os.name == "nt", reason="no such signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_export_leaves_nothing_behind(start, checkpoint, place, name):
    (place / "tiny").mkdir()
    (place / "tiny" / "old").write_text("old", encoding="utf-8")
    before = everything(place)
    process = start("export", checkpoint, place / "tiny", "--force")
    for line in process.stderr:
        if "ONNX graph single" in line:
            break
    assert len(everything(place)) > len(before)  # it has begun to write
    time.sleep(0.5)
    process.send_signal(getattr(signal, name))
    process.send_signal(getattr(signal, name))  # as a terminal and a process manager do together
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signal, name)
    assert (out, err) == ("", "edgespeech: interrupted; nothing was written\n")
    assert everything(place) == before


def test_not_a_number_in_the_weights(refused, a_checkpoint, place):
    weights = safetensors.torch.load_file(a_checkpoint / "model.safetensors")
    weights["lm_head.bias"][7] = np.nan
    safetensors.torch.save_file(weights, a_checkpoint / "model.safetensors", metadata={"format": "pt"})
    refused("export", a_checkpoint, place / "tiny")
    assert everything(place) == {}
