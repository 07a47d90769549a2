"""What configurations can do beside holding fields, and classes that pick others, against transformers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import TINY, make_checkpoint
from encoder_decoders import make_encoder_decoder

import edgespeech
from edgespeech.errors import ConfigError, UnknownModelError

FAMILIES = ("Wav2Vec2Config", "HubertConfig", "UniSpeechConfig", "BertConfig", "GPT2Config", "BartConfig")
THEIRS = {"transformers_version", "num_feat_extract_layers", "id2label", "label2id", "forced_eos_token_id"}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_differs_from_the_defaults(name: str) -> None:
    given = {"vocab_size": 77, "spare": [1], "return_dict": False}
    ours, theirs = (getattr(library, name)(**given) for library in (edgespeech, transformers))
    found = ours.to_diff_dict()
    for key, value in theirs.to_diff_dict().items():
        assert key in THEIRS or found[key] == value, key
    assert "output_attentions" not in found
    assert "output_attentions" in ours.to_dict()
    assert json.loads(ours.to_json_string()) == ours.to_diff_dict()
    assert json.loads(ours.to_json_string(use_diff=False)) == ours.to_dict()
    assert ours.spare == [1]
    assert not ours.use_return_dict
    assert getattr(edgespeech, name)(**ours.to_diff_dict()) == ours


def test_both_halves() -> None:
    config = edgespeech.SpeechEncoderDecoderConfig(
        encoder=edgespeech.HubertConfig(layerdrop=0.0), decoder=edgespeech.GPT2Config(n_layer=2), pad_token_id=3
    )
    found = config.to_diff_dict()
    assert found["encoder"] == config.encoder.to_diff_dict()  # type: ignore[union-attr]
    assert (found["decoder"]["n_layer"], found["pad_token_id"]) == (2, 3)
    assert "return_dict" not in {**found, **found["decoder"]}
    again = edgespeech.SpeechEncoderDecoderConfig.from_dict(json.loads(config.to_json_string(use_diff=False)))
    assert again == config


def test_extra_keywords() -> None:
    config: Any = edgespeech.Wav2Vec2Config(**TINY, my_option=3, num_labels=4)
    assert (config.my_option, config.num_labels, config.to_dict()["my_option"]) == (3, 4, 3)
    assert edgespeech.BartConfig(hidden_size=48, decoder_attention_heads=4).d_model == 48
    with pytest.raises(ConfigError, match="Wav2Vec2Config has no hidden_sizes; did you mean hidden_size"):
        edgespeech.Wav2Vec2Config(hidden_sizes=3)
    with pytest.raises(ConfigError, match="inputs_to_logits_ratio of a Wav2Vec2Config follows from its fields"):
        edgespeech.Wav2Vec2Config(inputs_to_logits_ratio=320)


def test_updates_are_whole_or_none() -> None:
    config = edgespeech.Wav2Vec2Config(**TINY)
    stack = {"conv_dim": [8, 8], "conv_kernel": [4, 4], "conv_stride": [2, 2]}
    config.update({**stack, "num_labels": 5, "spare": 1})
    assert (config.conv_dim, config.num_labels, config.spare) == ((8, 8), 5, 1)  # type: ignore[attr-defined]
    before = config.to_dict()
    for wrong in ({"conv_dim": [8]}, {"hidden_size": 31}, {"vocab_size": "a"}, {"hidden_sizes": 1}):
        with pytest.raises(ConfigError):
            config.update({"layerdrop": 0.3, **wrong})
        assert config.to_dict() == before
    config.vocab_size = 9
    with pytest.raises(ConfigError, match="hidden_size 31"):
        config.hidden_size = 31


def test_files(tmp_path: Path) -> None:
    config = edgespeech.HubertConfig(**TINY)
    config.to_json_file(tmp_path / "some.json")
    assert edgespeech.HubertConfig.from_json_file(tmp_path / "some.json") == config
    assert edgespeech.HubertConfig.from_pretrained(tmp_path / "some.json") == config
    assert edgespeech.AutoConfig.from_pretrained(tmp_path / "some.json", layerdrop=0.5).layerdrop == 0.5
    found, unused = edgespeech.HubertConfig.from_pretrained(
        tmp_path / "some.json", return_unused_kwargs=True, layerdrop=0.5, foo=1
    )
    assert (found.layerdrop, unused) == (0.5, {"foo": 1})


def test_classes_that_pick_others(tmp_path: Path) -> None:
    ctc, whole = make_checkpoint(tmp_path / "ctc", "hubert"), make_encoder_decoder(tmp_path / "whole", "gpt2")
    encoder = edgespeech.AutoModel.from_pretrained(ctc)
    assert type(encoder) is edgespeech.HubertModel
    assert type(edgespeech.AutoModel.from_pretrained(whole)) is edgespeech.SpeechEncoderDecoderModel
    model = edgespeech.AutoModelForSpeechSeq2Seq.from_pretrained(whole)
    assert type(model) is edgespeech.SpeechEncoderDecoderModel
    assert model.generate(torch.randn(1, 2000), max_new_tokens=2).shape[0] == 1
    for folder, name in ((ctc, "HubertConfig"), (whole, "SpeechEncoderDecoderConfig")):
        assert type(edgespeech.AutoConfig.from_pretrained(folder)).__name__ == name
        expected = transformers.AutoConfig.from_pretrained(folder)
        assert type(expected).__name__ == name
    assert edgespeech.AutoConfig.for_model("wav2vec2", vocab_size=9).vocab_size == 9
    fresh = edgespeech.AutoModelForCTC.from_config(encoder.config)
    assert type(fresh) is edgespeech.HubertForCTC
    with pytest.raises(UnknownModelError, match="model_type 'hubert'; speech encoder-decoders are known for: speech-"):
        edgespeech.AutoModelForSpeechSeq2Seq.from_pretrained(ctc)
    with pytest.raises(UnknownModelError, match="model_type 'whisper'; configurations are known for: bart, "):
        edgespeech.AutoConfig.for_model("whisper")


@pytest.mark.parametrize(
    ("name", "file"),
    [("FlaxWav2Vec2ForCTC", "flax_model.msgpack"), ("TFHubertModel", "tf_model.h5")],
)
def test_classes_of_other_frameworks_say_how_to_load(name: str, file: str) -> None:
    own = name.removeprefix("Flax").removeprefix("TF")
    with pytest.raises(
        ImportError, match=rf"{own}.from_pretrained reads the weights of .*{file}.*\[convert\]"
    ) as caught:
        getattr(edgespeech, name)
    assert "\n" not in str(caught.value)
    with pytest.raises(AttributeError, match="FlaxWhisperModel"):
        _ = edgespeech.FlaxWhisperModel


def test_code_of_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "checkpoint")
    assert edgespeech.AutoConfig.from_pretrained(folder, trust_remote_code=False).vocab_size == 32
    with pytest.raises(ConfigError, match="trust_remote_code: code that comes with a checkpoint is never run"):
        edgespeech.AutoConfig.from_pretrained(folder, trust_remote_code=True)
