"""Checkpoints of fairseq: tests/goldens/fairseq/make.py computed the goldens with fairseq's own models."""

import json
import os
import shutil
import sys
import types
from argparse import Namespace
from pathlib import Path
from typing import Any

import edgespeech_runtime
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from edgespeech_export import ExportOptions, export

import edgespeech
from edgespeech.checkpoint import resolve
from edgespeech.checkpoint.fairseq.settings import Settings, conv_layers, is_setting, plain
from edgespeech.checkpoint.pickled import read_pickle
from edgespeech.cli.app import program
from edgespeech.errors import CheckpointError, MissingFileError, UnknownModelError, WeightsError

GOLDENS = Path(__file__).parents[1] / "goldens" / "fairseq"
CTC = {"wav2vec_small_960h": "Wav2Vec2ForCTC", "xlsr2_tiny_ctc": "Wav2Vec2ForCTC", "hubert_large_ctc": "HubertForCTC"}
ENCODERS = {"wav2vec_small": "Wav2Vec2Model", "xlsr2_tiny": "Wav2Vec2Model", "hubert_base": "HubertModel"}
TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", "E", "T", "A", "'", "N"]


def golden(name: str) -> dict[str, torch.Tensor]:
    """The arrays of a golden."""
    with np.load(GOLDENS / name / "golden.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def copy(name: str, folder: Path) -> Path:
    """Copy a checkpoint without its golden, and return its file."""
    shutil.copytree(GOLDENS / name, folder / name)
    (folder / name / "golden.npz").unlink()
    return folder / name / f"{name}.pt"


@pytest.mark.parametrize("name", CTC)
@pytest.mark.parametrize("as_folder", [False, True])
def test_ctc(tmp_path: Path, name: str, as_folder: bool) -> None:
    file, expected = copy(name, tmp_path), golden(name)
    model = edgespeech.AutoModelForCTC.from_pretrained(file.parent if as_folder else file)
    assert type(model).__name__ == CTC[name]
    with torch.no_grad():
        torch.testing.assert_close(model(expected["audio"]).logits, expected["logits"], atol=1e-4, rtol=1e-4)
    processor = edgespeech.AutoProcessor.from_pretrained(file)
    assert processor.tokenizer.convert_ids_to_tokens(range(10)) == TOKENS
    assert processor.tokenizer.word_delimiter_token == "|"
    assert processor.feature_extractor.do_normalize is (name != "wav2vec_small_960h")
    assert model.config.pad_token_id == processor.tokenizer.pad_token_id == 0


@pytest.mark.parametrize("name", ENCODERS)
def test_pre_trained(tmp_path: Path, name: str) -> None:
    file, expected = copy(name, tmp_path), golden(name)
    model = getattr(edgespeech, ENCODERS[name]).from_pretrained(file)
    with torch.no_grad():
        found = model(expected["audio"]).last_hidden_state
    torch.testing.assert_close(found, expected["states"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["wav2vec_small", "xlsr2_tiny"])
def test_codebooks_come_along(tmp_path: Path, name: str) -> None:
    model = edgespeech.AutoModelForPreTraining.from_pretrained(copy(name, tmp_path))
    assert model.quantizer.codevectors.shape == (1, 8, 6)
    assert model.quantizer.codevectors.abs().sum() > 0


def test_it_becomes_a_folder_that_stays(tmp_path: Path) -> None:
    file = copy("wav2vec_small_960h", tmp_path)
    model, processor = edgespeech.AutoModelForCTC.from_pretrained(file), edgespeech.AutoProcessor.from_pretrained(file)
    model.save_pretrained(tmp_path / "kept")
    processor.save_pretrained(tmp_path / "kept")
    again = edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "kept")
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert sorted(path.name for path in file.parent.iterdir()) == ["dict.ltr.txt", "wav2vec_small_960h.pt"]


def test_a_bundle(tmp_path: Path) -> None:
    file, expected = copy("xlsr2_tiny_ctc", tmp_path), golden("xlsr2_tiny_ctc")
    export(file, tmp_path / "bundle", ExportOptions(engine="numpy"))
    with edgespeech_runtime.load(tmp_path / "bundle") as model:
        assert list(model.manifest.vocabulary.tokens) == TOKENS
        assert model.manifest.audio.normalize
        assert model.logits(expected["audio"][0].numpy()).shape == expected["logits"].shape[1:]


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    file = copy("hubert_base", tmp_path)
    first = resolve(file)
    assert resolve(file) == first
    shutil.copy(GOLDENS / "hubert_large_ctc" / "hubert_large_ctc.pt", file)
    shutil.copy(GOLDENS / "hubert_large_ctc" / "dict.ltr.txt", file.parent)
    assert json.loads((resolve(file) / "config.json").read_text())["feat_extract_norm"] == "layer"


class Calls:
    """Unpickles by calling a function."""

    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_named_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {}, "args": Calls()}, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"evil\.pt .*asks to run (posix|nt)\.system, and none of it was run"
    ) as caught:
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "evil.pt")
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_conv_layers_are_read_not_run(tmp_path: Path) -> None:
    assert conv_layers("[(512, 10, 5)] + [(512, 3, 2)] * 2 + [(512,2,2)]", tmp_path) == [
        (512, 10, 5),
        (512, 3, 2),
        (512, 3, 2),
        (512, 2, 2),
    ]
    for text in ("__import__('os').system('touch ran')", "[(1, 2)]", "[", "5", "[(1, 2, 3)] * 10 ** 9", "1 * 2"):
        with pytest.raises(CheckpointError, match="conv_feature_layers is"):
            conv_layers(text, tmp_path)


def test_labels_of_a_task() -> None:
    for labels, expected in (("ltr", "ltr"), (["ltr"], "ltr"), (None, None), ("???", None), ([], None)):
        assert Settings.of({"cfg": {"model": {"_name": "hubert_ctc"}, "task": {"labels": labels}}}).labels == expected


@pytest.mark.parametrize("name", ["wav2vec_small_960h", "xlsr2_tiny_ctc"])
def test_a_file_without_settings_is_known_by_its_weights(tmp_path: Path, name: str) -> None:
    """But for strides and heads, whose defaults are the published ones."""
    file, expected = copy(name, tmp_path), edgespeech.AutoModelForCTC.from_pretrained(GOLDENS / name / f"{name}.pt")
    weights = read_pickle(file, is_setting)["model"]
    settings = {"conv_feature_layers": "[(8, 10, 5), (8, 3, 2), (8, 2, 2)]", "encoder_attention_heads": 2}
    torch.save({"args": Namespace(**settings), "model": weights}, file)
    found = edgespeech.AutoModelForCTC.from_pretrained(file).config
    for field in ("do_stable_layer_norm", "feat_extract_norm", "conv_bias", "hidden_size", "num_conv_pos_embeddings"):
        assert getattr(found, field) == getattr(expected.config, field)


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    file = copy("wav2vec_small_960h", tmp_path)
    (file.parent / "dict.ltr.txt").write_text("E 1\n")
    with pytest.raises(CheckpointError, match=r"has 5 tokens with fairseq's own four, the model of .* tells 10 apart"):
        edgespeech.AutoModelForCTC.from_pretrained(file)
    (file.parent / "dict.ltr.txt").unlink()
    with pytest.raises(MissingFileError, match=r"needs its dictionary; put dict\.ltr\.txt beside it"):
        edgespeech.AutoModelForCTC.from_pretrained(file)
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of fairseq"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "other.pt")
    torch.save({"model": {}, "args": Namespace(arch="wav2vec_seq2seq")}, tmp_path / "other.pt")
    with pytest.raises(UnknownModelError, match=r"a wav2vec_seq2seq of fairseq; known are: wav2vec2, wav2vec_ctc"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "other.pt")
    torch.save({"model": {}, "args": None}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="lacks weights that a wav2vec2 of fairseq has"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "other.pt")
    (tmp_path / "second.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match=r"holds other\.pt, second\.pt; give one of these files"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"second\.pt is a Git LFS pointer"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "second.pt")


def test_settings_as_omegaconf_pickles_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers and nodes of omegaconf, whose classes are read as records, and an enumeration's member."""
    module = types.ModuleType("omegaconf.dictconfig")
    module.DictConfig = type("DictConfig", (), {"__module__": module.__name__})
    module.AnyNode = type("AnyNode", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def held(value: Any) -> Any:
        node = module.DictConfig() if isinstance(value, dict) else module.AnyNode()
        if isinstance(value, dict):
            node.__dict__.update(_content={name: held(inner) for name, inner in value.items()}, _parent=None)
        else:
            node.__dict__.update(_val=value, _metadata=dict)
        return node

    expected = {
        "model": {"_name": "wav2vec_ctc", "layers": 3, "w2v_args": {"model": {"a": 1.5}}},
        "task": {"labels": "ltr"},
    }
    torch.save({"cfg": held(expected)}, tmp_path / "held.pt")
    assert plain(read_pickle(tmp_path / "held.pt", is_setting)["cfg"]) == expected


def test_inspect_tells_of_it(tmp_path: Path) -> None:
    for name in ("wav2vec_small_960h", "hubert_base"):
        file = copy(name, tmp_path)
        for path in (file, file.parent):
            found = CliRunner().invoke(program, ["inspect", str(path), "--json"])
            assert found.exit_code == 0, found.output
            assert json.loads(found.stdout)["folder"] == str(path)
            assert json.loads(found.stdout)["model_type"] == ("hubert" if name == "hubert_base" else "wav2vec2")
