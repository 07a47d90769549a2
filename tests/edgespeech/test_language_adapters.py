"""The per-language adapters of MMS: `target_lang` and `load_adapter`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import (
    CLASSES,
    FAMILIES,
    LANGUAGES,
    ONE_FORM,
    Family,
    language_weights,
    make_checkpoint,
    make_multilingual,
    waveforms,
)
from safetensors.torch import save_file
from transformers import Wav2Vec2ForCTC as Reference

import edgespeech
from edgespeech.errors import CheckpointError, ConfigError, MissingFileError, WeightsError


@pytest.mark.parametrize("language", LANGUAGES)
@torch.no_grad()
def test_target_lang_and_load_adapter_give_what_transformers_gives(tmp_path: Path, language: str) -> None:
    folder = make_multilingual(tmp_path)
    theirs = Reference.from_pretrained(folder).eval()
    theirs.load_adapter(language)
    audio, _ = waveforms(8000)
    expected = theirs(audio).logits
    assert expected.shape[-1] == LANGUAGES[language]
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, target_lang=language, ignore_mismatched_sizes=True)
    switched = edgespeech.AutoModelForCTC.from_pretrained(folder)
    switched.load_adapter("fra")
    switched.load_adapter(language)
    for ours in (model, switched):
        torch.testing.assert_close(ours(audio).logits, expected)
        assert ours.config.vocab_size == LANGUAGES[language]
        assert ours.target_lang == language
    model.save_pretrained(tmp_path / "one")
    torch.testing.assert_close(edgespeech.Wav2Vec2ForCTC.from_pretrained(tmp_path / "one")(audio).logits, expected)


@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if "adapter_attn_dim" not in ONE_FORM.get(family, ())]
)
@torch.no_grad()
def test_every_family_has_language_adapters(tmp_path: Path, family: Family) -> None:
    folder = make_multilingual(tmp_path, family)
    kind = getattr(edgespeech, CLASSES[family] + "ForCTC")
    switched = kind.from_pretrained(folder)
    switched.load_adapter("fra")
    audio, _ = waveforms(8000)
    torch.testing.assert_close(switched(audio).logits, kind.from_pretrained(folder, target_lang="fra")(audio).logits)


def test_load_adapter_keeps_training_as_it_was(tmp_path: Path) -> None:
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(make_multilingual(tmp_path)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.freeze_feature_encoder()
    model.load_adapter("fra")
    assert all(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.wav2vec2.feature_extractor.parameters())
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if ".adapter_layer." in name or name.startswith("lm_head.")}


def test_a_language_that_is_not_there(tmp_path: Path) -> None:
    folder = make_multilingual(tmp_path)
    message = r"no adapter for 'spa' in .*; it holds: deu, eng, fra, zsm-script_latin$"
    with pytest.raises(MissingFileError, match=message):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, target_lang="spa")
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder)
    with pytest.raises(MissingFileError, match=message):
        model.load_adapter("spa")
    with pytest.raises(MissingFileError, match=r"no adapter for '\.\./eng'"):
        model.load_adapter("../eng")
    assert model.target_lang is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("lm_head.bias"), "weights missing in .*lm_head.bias"),
        (lambda weights: weights.pop("lm_head.weight"), "weights missing in .*lm_head.weight"),
        (lambda weights: weights.update(spare=torch.zeros(1)), "does not have: spare"),
        (
            lambda weights: weights.pop("wav2vec2.encoder.layers.0.adapter_layer.norm.bias"),
            "weights missing in .*: wav2vec2.encoder.layers.0.adapter_layer.norm.bias",
        ),
        (lambda weights: weights.update({"lm_head.bias": torch.zeros(3)}), r"lm_head.bias in .* has shape \[3\]"),
    ],
)
def test_broken_adapters(tmp_path: Path, change: Any, message: str) -> None:
    folder = make_multilingual(tmp_path)
    weights = language_weights(folder, 40, 9)
    change(weights)
    save_file(weights, folder / "adapter.fra.safetensors")
    with pytest.raises(WeightsError, match=message):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, target_lang="fra")
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        model.load_adapter("fra")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.config.vocab_size == 32


def test_models_without_adapters(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path)
    with pytest.raises(ConfigError, match="adapter_attn_dim"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, target_lang="eng")
    with pytest.raises(ConfigError, match="adapter_attn_dim"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder).load_adapter("eng")
    with pytest.raises(ConfigError, match="adapter_attn_dim"):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder).init_adapter_layers()
    fresh = edgespeech.Wav2Vec2ForCTC(edgespeech.Wav2Vec2Config.from_pretrained(folder, adapter_attn_dim=4))
    with pytest.raises(CheckpointError, match="call from_pretrained first"):
        fresh.load_adapter("eng")
