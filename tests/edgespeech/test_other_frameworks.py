"""Weights of Flax and TensorFlow: tests/goldens/frameworks/make.py computed the goldens with those libraries."""

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import edgespeech
from edgespeech.errors import MissingFileError, WeightsError

GOLDENS = Path(__file__).parents[1] / "goldens" / "frameworks"
FLAX, TENSORFLOW = GOLDENS / "flax-ctc", GOLDENS / "tf-ctc"
WEIGHTS = "model.safetensors"
pytest.importorskip("msgpack", reason="Flax's files take msgpack, of the extra convert")
pytest.importorskip("h5py", reason="TensorFlow's files take h5py, of the extra convert")


def golden(name: str) -> dict[str, torch.Tensor]:
    """The arrays of a golden."""
    with np.load(GOLDENS / name / "golden.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Compare as closely as the frameworks agree."""
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "kind", "key", "output"),
    [
        ("flax-ctc", "Wav2Vec2ForCTC", "logits", "logits"),
        ("flax-shards", "Wav2Vec2ForCTC", "logits", "logits"),
        ("flax-encoder", "Wav2Vec2Model", "states", "last_hidden_state"),
        ("flax-pretraining", "Wav2Vec2ForPreTraining", "states", "projected_states"),
        ("tf-ctc", "Wav2Vec2ForCTC", "logits", "logits"),
        ("tf-ctc-layer-norm", "Wav2Vec2ForCTC", "logits", "logits"),
        ("tf-hubert-ctc", "HubertForCTC", "logits", "logits"),
        ("tf-classifier", "Wav2Vec2ForSequenceClassification", "logits", "logits"),
    ],
)
def test_encoders_and_heads(name: str, kind: str, key: str, output: str) -> None:
    expected = golden(name)
    model = getattr(edgespeech, kind).from_pretrained(GOLDENS / name)
    with torch.no_grad():
        close(getattr(model(expected["audio"]), output), expected[key])


@pytest.mark.parametrize("family", ["bert", "gpt2", "bart", "roberta"])
def test_encoder_decoders_of_flax(family: str) -> None:
    expected = golden(f"flax-{family}")
    model = edgespeech.SpeechEncoderDecoderModel.from_pretrained(GOLDENS / f"flax-{family}")
    with torch.no_grad():
        close(model(expected["audio"], decoder_input_ids=expected["tokens"].long()).logits, expected["logits"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tf-bert", "BertLMHeadModel"),
        ("tf-gpt2", "GPT2LMHeadModel"),
        ("tf-bart", "BartForCausalLM"),
        ("tf-mbart", "MBartForCausalLM"),
        ("flax-mbart", "MBartForCausalLM"),
        ("flax-marian", "MarianForCausalLM"),
    ],
)
def test_decoders(name: str, kind: str) -> None:
    expected = golden(name)
    model = getattr(edgespeech, kind).from_pretrained(GOLDENS / name)
    with torch.no_grad():
        found = model(expected["tokens"].long(), encoder_hidden_states=expected["encoder"])
    close(found.logits, expected["logits"])


@pytest.mark.parametrize("source", [FLAX, TENSORFLOW])
def test_weights_of_torch_come_first(tmp_path: Path, source: Path) -> None:
    shutil.copytree(source, tmp_path / "both")
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(source)
    with torch.no_grad():
        model.lm_head.bias.fill_(3.0)
    model.save_pretrained(tmp_path / "both")
    again = edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path / "both")
    assert torch.equal(again.lm_head.bias, model.lm_head.bias)


@pytest.mark.parametrize(("source", "name"), [(FLAX, "flax_model.msgpack"), (TENSORFLOW, "tf_model.h5")])
@pytest.mark.parametrize("keep", [0, 1, 5000])
def test_cut_off_files(tmp_path: Path, source: Path, name: str, keep: int) -> None:
    shutil.copytree(source, tmp_path / "cut")
    (tmp_path / "cut" / name).write_bytes((source / name).read_bytes()[:keep])
    with pytest.raises(WeightsError, match=f"{name} is not a readable"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path / "cut")


@pytest.mark.parametrize(
    "tree",
    [
        {"lm_head": {"kernel": {"__msgpack_chunked_array__": True, "shape": {"0": 5}, "chunks": {}}}},
        {"lm_head": {"kernel": {"__msgpack_chunked_array__": True}}},
        {"lm_head": {"kernel": 5}},
        {"params": 5},
        [1],
    ],
)
def test_trees_of_flax_that_hold_something_else(tmp_path: Path, tree: Any) -> None:
    shutil.copy(FLAX / "config.json", tmp_path)
    (tmp_path / "flax_model.msgpack").write_bytes(importlib.import_module("msgpack").packb(tree))
    with pytest.raises(WeightsError, match=r"flax_model.msgpack (is not a readable|must hold)"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path)


@pytest.mark.parametrize("how", ["external", "link", "virtual"])
@pytest.mark.parametrize("listed", [True, False])
def test_numbers_of_another_file_are_not_read(tmp_path: Path, how: str, listed: bool) -> None:
    """HDF5 can point to any file; what a checkpoint makes public must be its own."""
    h5py = importlib.import_module("h5py")
    shutil.copy(TENSORFLOW / "config.json", tmp_path)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.ones(12, np.float32)
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        if listed:
            file.attrs["layer_names"] = [b"wav2vec2"]
        group = file.create_group("wav2vec2")
        group.attrs["weight_names"] = [b"lm_head"]
        if how == "external":
            group.create_dataset("lm_head", (12,), "f4", external=[(tmp_path / "other.h5", 0, 48)])
        elif how == "link":
            group["lm_head"] = h5py.ExternalLink("other.h5", "/secret")
        else:
            layout = h5py.VirtualLayout((12,), "f4")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", (12,))
            group.create_virtual_dataset("lm_head", layout)
    with pytest.raises(WeightsError, match=r"tf_model.h5 takes .* from another file"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path)


@pytest.mark.parametrize(("source", "package"), [(FLAX, "msgpack"), (TENSORFLOW, "h5py")])
def test_the_package_that_is_needed_is_named(monkeypatch: pytest.MonkeyPatch, source: Path, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingFileError, match=rf"takes the package {package} .*pip install 'edgespeech\[convert\]'"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(source)


@pytest.mark.parametrize("source", [FLAX, TENSORFLOW])
def test_a_missing_weight_is_named_as_in_torch(source: Path) -> None:
    with pytest.raises(WeightsError, match=r"wav2vec2\.encoder\.layers\.2\."):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(source, num_hidden_layers=3)


def test_chunks_and_halves_of_flax(tmp_path: Path) -> None:
    """Flax splits arrays above a gigabyte, and stores bfloat16 by that name."""
    import msgpack

    def array(values: np.ndarray, name: str = "") -> msgpack.ExtType:
        return msgpack.ExtType(1, msgpack.packb((values.shape, name or values.dtype.name, values.tobytes())))

    tree = msgpack.unpackb((FLAX / "flax_model.msgpack").read_bytes(), strict_map_key=False)
    expected = edgespeech.Wav2Vec2ForCTC.from_pretrained(FLAX).state_dict()
    kernel = expected["lm_head.weight"].numpy().T
    parts = {"0": array(kernel.ravel()[:50]), "1": array(kernel.ravel()[50:])}
    shape = {"0": kernel.shape[0], "1": kernel.shape[1]}
    half = expected["lm_head.bias"].bfloat16()
    tree["lm_head"] = {
        "kernel": {"__msgpack_chunked_array__": True, "shape": shape, "chunks": parts},
        "bias": array(half.view(torch.int16).numpy(), "bfloat16"),
    }
    shutil.copytree(FLAX, tmp_path / "chunks")
    (tmp_path / "chunks" / "flax_model.msgpack").write_bytes(msgpack.packb({"params": tree}, strict_types=True))
    found = edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path / "chunks").state_dict()
    assert torch.equal(found["lm_head.weight"], expected["lm_head.weight"])
    assert torch.equal(found["lm_head.bias"], half.float())


@pytest.mark.parametrize(("source", "framework"), [(FLAX, "flax"), (TENSORFLOW, "tf")])
def test_safetensors_of_other_frameworks(tmp_path: Path, source: Path, framework: str) -> None:
    """Their own names and order of axes, in a file of safetensors that says so."""
    shutil.copy(source / "config.json", tmp_path)
    tensors = flat_flax() if framework == "flax" else flat_tensorflow()
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / WEIGHTS, {"format": framework}
    )
    expected = edgespeech.Wav2Vec2ForCTC.from_pretrained(source).state_dict()
    found = edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def flat_flax() -> dict[str, torch.Tensor]:
    """The arrays of a file of Flax by their paths with dots."""
    from edgespeech.checkpoint.flax import _array, _leaves

    path = FLAX / "flax_model.msgpack"
    tree = importlib.import_module("msgpack").unpackb(path.read_bytes(), ext_hook=_array, strict_map_key=False)
    return dict(_leaves(path, tree, ""))


def flat_tensorflow() -> dict[str, torch.Tensor]:
    """The arrays of a file of Keras by their paths without the model's name."""
    with importlib.import_module("h5py").File(TENSORFLOW / "tf_model.h5") as whole:
        return {
            name.partition("/")[2]: torch.from_numpy(whole[layer][name][()])
            for layer in whole.attrs["layer_names"]
            for name in whole[layer].attrs["weight_names"]
        }


def test_shards_of_tensorflow(tmp_path: Path) -> None:
    """As transformers 4 splits them: datasets under their paths without the model's name, named by an index."""
    import h5py

    shutil.copy(TENSORFLOW / "config.json", tmp_path)
    table = {}
    arrays = flat_tensorflow()
    for part in range(2):
        file = f"tf_model-{part + 1:05d}-of-00002.h5"
        with h5py.File(tmp_path / file, "w") as shard:
            for name in sorted(arrays)[part::2]:
                shard.create_dataset(name, data=arrays[name].numpy())
                table[name] = file
    (tmp_path / "tf_model.h5.index.json").write_text(json.dumps({"weight_map": table}))
    expected = edgespeech.Wav2Vec2ForCTC.from_pretrained(TENSORFLOW).state_dict()
    found = edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
