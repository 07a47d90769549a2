"""Files in place of weights: each is named, with what to do about it, and nothing that a pickle names is run."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import make_checkpoint
from safetensors.torch import load_file

from edgespeech import AutoModelForCTC, AutoTokenizer, Wav2Vec2ForCTC
from edgespeech.errors import CheckpointError, MissingFileError, WeightsError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 377667514\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "checkpoint")


def refusal(folder: Path, kind: type[Exception] = WeightsError) -> str:
    """Return the message with which a checkpoint is refused: one line, that advises nothing unsafe."""
    with pytest.raises(kind) as caught:
        Wav2Vec2ForCTC.from_pretrained(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert "weights_only" not in message
    assert "safe_globals" not in message
    return message


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pointer_of_git_lfs(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(POINTER)
    assert f"{name} is a Git LFS pointer" in (message := refusal(folder))
    assert message.endswith(f"git -C {folder} lfs pull")


def test_a_shard_that_is_a_pointer(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model-1.safetensors").write_bytes(POINTER)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert "model-1.safetensors is a Git LFS pointer" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "vocab.json"])
def test_other_files_that_are_pointers(folder: Path, name: str) -> None:
    (folder / name).write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=f"{name} is a Git LFS pointer.*lfs pull"):
        (AutoModelForCTC if name == "config.json" else AutoTokenizer).from_pretrained(folder)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("MBartTokenizer", "sentencepiece.bpe.model"),
        ("BertTokenizer", "vocab.txt"),
        ("PreTrainedTokenizerFast", "tokenizer.json"),
    ],
)
def test_files_of_tokenizers_that_are_pointers(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=f"{name} is a Git LFS pointer.*lfs pull"):
        AutoTokenizer.from_pretrained(tmp_path)


def test_a_half_precision_variant(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    assert "model.fp16.safetensors is a variant of model.safetensors; rename it" in refusal(folder, MissingFileError)
    (folder / "model.fp16.safetensors").unlink()
    (folder / "pytorch_model.fp16.bin").write_bytes(b"")
    assert "pytorch_model.fp16.bin is a variant of pytorch_model.bin" in refusal(folder, MissingFileError)


@pytest.mark.parametrize("settings", ['{"base_model_name_or_path": "facebook/wav2vec2-base"}', "{}", "[]", "{"])
def test_a_folder_of_peft(tmp_path: Path, settings: str) -> None:
    (tmp_path / "adapter_config.json").write_text(settings)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    message = refusal(tmp_path, MissingFileError)
    assert "an adapter of PEFT for" in message
    assert "merge" in message
    assert ("facebook/wav2vec2-base" in message) == ("facebook" in settings)


def test_a_folder_of_peft_with_the_configuration_of_its_model(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "facebook/wav2vec2-base"}')
    assert "an adapter of PEFT for facebook/wav2vec2-base, not a whole model" in refusal(folder, MissingFileError)


def test_what_is_there_instead_of_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "rust_model.ot")
    (folder / "optimizer.pt").write_bytes(b"")
    said = refusal(folder, MissingFileError)
    assert said.endswith("whole or sharded; optimizer.pt, rust_model.ot is no such file")


class Calls:
    """Unpickles by calling a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def zipped(value: Any, path: Path) -> None:
    torch.save(value, path)


def before_zip(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def plain(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


@pytest.mark.parametrize("save", [zipped, before_zip, plain])
@pytest.mark.parametrize("protocol_4", [False, True])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, f"{os.system.__module__}.system"),
        (exec, "builtins.exec"),
        (__import__, "builtins.__import__"),
        (Path.touch, "pathlib.P"),
    ],
)
def test_code_is_named_and_not_run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[[Any, Path], None],
    protocol_4: bool,
    function: Any,
    name: str,
) -> None:
    argument = {exec: "open('ran', 'w')", __import__: "antigravity", Path.touch: Path("ran")}.get(function, "touch ran")
    value = {**load_file(folder / "model.safetensors"), "weight": Calls(function, argument)}
    (folder / "model.safetensors").unlink()
    monkeypatch.chdir(folder)
    if protocol_4:
        monkeypatch.setattr(torch.serialization, "DEFAULT_PROTOCOL", 4)
    save(value, folder / "pytorch_model.bin")
    message = refusal(folder)
    assert "it asks to run" in message
    assert name in message.replace("__builtin__", "builtins")
    assert "pytorch_model.bin" in message
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("save", [zipped, before_zip, plain])
def test_a_function_of_torch_that_is_no_data(folder: Path, save: Callable[[Any, Path], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save({**weights, "a": Calls(torch.hub.load, "somebody/something", "model")}, folder / "pytorch_model.bin")
    assert "it asks to run torch.hub.load, and none" in refusal(folder)


def test_a_torchscript_program(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}))
        archive.writestr("model/constants.pkl", pickle.dumps(()))
    assert "is a TorchScript program" in refusal(folder)


@pytest.mark.parametrize("save", [zipped, before_zip])
@pytest.mark.parametrize("keep", [0, 1, 300, -100])
def test_cut_off_pickles(folder: Path, save: Callable[[Any, Path], None], keep: int) -> None:
    save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    content = (folder / "pytorch_model.bin").read_bytes()
    (folder / "pytorch_model.bin").write_bytes(content[:keep])
    assert "not a readable weight file" in refusal(folder)


@pytest.mark.parametrize("save", [zipped, before_zip])
@pytest.mark.parametrize("wrap", [dict, lambda table: {name: torch.nn.Parameter(t) for name, t in table.items()}])
def test_pickles_of_tensors_load(folder: Path, save: Callable[[Any, Path], None], wrap: Any) -> None:
    expected = Wav2Vec2ForCTC.from_pretrained(folder).state_dict()
    save(wrap(load_file(folder / "model.safetensors")), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = Wav2Vec2ForCTC.from_pretrained(folder).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
