"""`edgespeech inspect`: the facts of bundles and checkpoints, and damage that it names without hiding the rest."""

import json
import subprocess
import sys

import pytest
import torch
from checkpoints import CLASSES, make_checkpoint
from safetensors.torch import load_file


@pytest.fixture
def facts(run):
    """`facts(folder)`: what --json says."""

    def read(folder):
        return json.loads(run("inspect", folder, "--json").stdout)

    return read


def test_a_bundle(run, bundle_of, engine):
    folder = bundle_of(engine)
    manifest = json.loads((folder / "edgespeech.json").read_text(encoding="utf-8"))
    result = run("inspect", folder)
    assert (result.exit_code, result.stderr) == (0, "")
    for name in manifest["files"]:
        assert name in result.stdout
    for said in (
        {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}[engine],
        "16000 Hz, normalised",
        "64 samples, 4 ms",
        "32 tokens",
        "every file is as it was exported",
        "input_values float32 [batch, samples], input_lengths int64 [batch]",
        "logits float32 [batch, frames, vocabulary]",
        "MatMul",
        "largest difference",
        manifest["provenance"]["checkpoint_sha256"],
    ):
        assert said in result.stdout


def test_a_bundle_in_json_is_its_manifest_and_more(facts, bundle):
    found = facts(bundle)
    manifest = json.loads((bundle / "edgespeech.json").read_text(encoding="utf-8"))
    assert found["vocabulary"].pop("size") == len(manifest["vocabulary"]["tokens"])
    assert found == {**manifest, "kind": "bundle", "folder": str(bundle), "checksums_hold": True, "problem": None}


def test_a_bundle_is_inspected_without_torch_and_engines(bundle):
    code = (
        "import sys\nfrom edgespeech.cli import program\n"
        "try:\n    program(['inspect', sys.argv[1]])\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, bundle], check=True, capture_output=True, text=True, timeout=60)
    assert not {"torch", "onnx", "onnxruntime", "openvino", "transformers"} & set(done.stderr.split())


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_one_altered_byte_is_named_and_the_facts_are_still_told(run, refused, a_bundle, recordings):
    flip(a_bundle / "onnx/model.onnx_data")
    result = run("inspect", a_bundle)
    assert result.exit_code == 2
    assert result.stderr.startswith("edgespeech: onnx/model.onnx_data does not match its checksum")
    assert "checksums: onnx/model.onnx_data does not match" in result.stdout
    assert "input_values float32" in result.stdout
    found = json.loads(run("inspect", a_bundle, "--json").stdout)
    assert found["checksums_hold"] is False
    assert "onnx/model.onnx_data" in found["problem"]
    assert "onnx/model.onnx_data does not match its checksum" in refused("transcribe", a_bundle, recordings[0])


def edited(change):
    def apply(folder):
        path = folder / "edgespeech.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(json.dumps(data), encoding="utf-8")

    return apply


def outside(data):
    data["files"]["../secret"] = data["files"].pop("golden.npz")


def absolute(data):
    data["graphs"]["single"]["file"] = "/etc/passwd"


DAMAGES = {
    "a newer format": (edited(lambda data: data.update(format=2)), "bundle format 2"),
    "a path outside": (edited(outside), "not a plain path inside the bundle"),
    "an absolute path": (edited(absolute), "'/etc/passwd'"),
    "an unknown task": (edited(lambda data: data.update(task="speech-to-smell")), "'speech-to-smell'"),
    "a field less": (edited(lambda data: data.pop("audio")), "audio is missing"),
    "no manifest": (lambda folder: (folder / "edgespeech.json").unlink(), ""),
    "half a manifest": (
        lambda folder: (folder / "edgespeech.json").write_text('{"format": 1', encoding="utf-8"),
        "JSON",
    ),
    "no text": (lambda folder: (folder / "edgespeech.json").write_bytes(b"\xff\xfe{}"), "UTF-8"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_manifest_that_cannot_be_trusted(refused, a_bundle, recordings, name):
    damage, said = DAMAGES[name]
    damage(a_bundle)
    assert said in refused("transcribe", a_bundle, recordings[0])
    if name != "no manifest":  # then it looks like a checkpoint
        assert said in refused("inspect", a_bundle)


def test_a_bundle_that_lacks_a_file(run, refused, a_bundle, recordings):
    (a_bundle / "golden.npz").unlink()
    assert "golden.npz is listed" in refused("transcribe", a_bundle, recordings[0])
    assert run("inspect", a_bundle).exit_code == 2


@pytest.mark.parametrize("report", [{}, {"parity": 3, "speed": {"seconds": "fast"}, "operators": {"single": []}}])
def test_a_report_may_say_anything(run, a_bundle, report):
    edited(lambda data: data.update(report=report, provenance={}))(a_bundle)
    result = run("inspect", a_bundle)
    assert result.exit_code == 0
    assert "largest difference" not in result.stdout


def test_the_proof_of_an_older_bundle_is_told_without_what_it_did_not_measure(run, a_bundle):
    assert "float32 itself" in run("inspect", a_bundle).stdout
    edited(lambda data: data["report"]["parity"].pop("float32"))(a_bundle)
    told = run("inspect", a_bundle).stdout
    assert "float32 itself" not in told
    assert "largest difference" in told


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "unispeech"])
def test_a_checkpoint(run, facts, tmp_path, family):
    folder = make_checkpoint(tmp_path / "checkpoint", family, weights="edgespeech", do_stable_layer_norm=True)
    weights = load_file(folder / "model.safetensors")
    found = facts(folder)
    assert found["kind"] == "checkpoint"
    assert found["model_type"] == family
    assert found["exports_as"] == f"{CLASSES[family]}ForCTC"
    assert sum(found["parameters"].values()) == sum(tensor.numel() for tensor in weights.values())
    assert found["parameters"]["lm_head"] == 32 * 32 + 32
    assert found["files"] == {"model.safetensors": (folder / "model.safetensors").stat().st_size}
    assert found["vocabulary"] == 32
    assert found["differing"]["do_stable_layer_norm"] is True
    assert found["differing"]["hidden_size"] == 32
    assert "conv_kernel" not in found["differing"]
    assert "output_hidden_size" not in found["differing"]
    shown = run("inspect", folder).stdout
    assert "do_stable_layer_norm" in shown
    assert "lm_head" in shown


def test_a_pickled_checkpoint(facts, a_checkpoint):
    weights = load_file(a_checkpoint / "model.safetensors")
    expected = facts(a_checkpoint)
    (a_checkpoint / "model.safetensors").unlink()
    torch.save(weights, a_checkpoint / "pytorch_model.bin")
    found = facts(a_checkpoint)
    assert found["parameters"] == expected["parameters"]
    assert found["types"] == ["float32"]


def test_languages(facts, a_checkpoint):
    letters = json.loads((a_checkpoint / "vocab.json").read_text(encoding="utf-8"))
    (a_checkpoint / "vocab.json").write_text(json.dumps({"eng": letters, "deu": letters}), encoding="utf-8")
    for language in ("eng", "deu"):
        (a_checkpoint / f"adapter.{language}.safetensors").write_bytes(b"")
    found = facts(a_checkpoint)
    assert found["languages"] == found["adapters"] == ["deu", "eng"]
    assert found["vocabulary"] is None


def test_what_is_neither(refused, tmp_path):
    assert "is not there" in refused("inspect", tmp_path / "nowhere")
    assert "neither a bundle nor a checkpoint" in refused("inspect", tmp_path)
    (tmp_path / "file").write_text("text", encoding="utf-8")
    assert "is not a folder" in refused("inspect", tmp_path / "file")


def test_a_checkpoint_of_another_family(refused, a_checkpoint):
    (a_checkpoint / "config.json").write_text('{"model_type": "whisper"}', encoding="utf-8")
    assert "'whisper'" in refused("inspect", a_checkpoint)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100])
def test_weights_that_are_none(refused, a_checkpoint, content):
    (a_checkpoint / "model.safetensors").write_bytes(content)
    assert "not a readable safetensors file" in refused("inspect", a_checkpoint)
