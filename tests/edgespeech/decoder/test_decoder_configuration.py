"""Configurations of decoders: defaults, files, aliases, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from decoders import CLASSES, CONFIGS, FAMILIES, REFERENCED, TINY, Family, encoder_states, make_decoder, token_ids

import edgespeech
from edgespeech.errors import CheckpointError, ConfigError, InputError

# Fields that transformers has for all models and that say nothing about a decoder here.
GENERAL = {
    *("transformers_version", "architectures", "output_hidden_states", "return_dict", "dtype", "id2label", "label2id"),
    *("problem_type", "chunk_size_feed_forward", "is_encoder_decoder", "num_labels", "model_type", "_name_or_path"),
    *("output_attentions", "per_layer_config", "tie_last_hidden_states"),
}
SIZES = {"bert": "hidden_size", "gpt2": "n_embd", "bart": "d_model", "mbart": "d_model", "speech2text2": "d_model"}


def config_class(family: Family) -> Any:
    return getattr(edgespeech, CONFIGS[family])


@pytest.mark.parametrize("family", REFERENCED)
def test_defaults_are_the_published_ones(family: Family) -> None:
    theirs = getattr(transformers, CONFIGS[family])().to_dict()
    mine = config_class(family)().to_dict()
    for name, value in theirs.items():
        if name not in GENERAL:
            assert mine[name] == value, name


def test_speech2text2_defaults() -> None:
    """Those of facebook/s2t-wav2vec2-large-en-de's class in transformers 4.46."""
    config = edgespeech.Speech2Text2Config()
    assert (config.vocab_size, config.d_model, config.decoder_layers, config.decoder_ffn_dim) == (10000, 256, 6, 2048)
    assert (config.decoder_attention_heads, config.activation_function, config.scale_embedding) == (4, "relu", True)
    assert (config.max_target_positions, config.decoder_start_token_id, config.pad_token_id) == (1024, 2, 1)
    assert (config.bos_token_id, config.eos_token_id, config.dropout, config.init_std) == (0, 2, 0.1, 0.02)
    assert edgespeech.Speech2Text2ForCausalLM(config).max_length == 1024


@pytest.mark.parametrize("family", REFERENCED)
def test_aliases_are_the_reference_s(family: Family) -> None:
    theirs = getattr(transformers, CONFIGS[family])
    for alias, name in theirs.attribute_map.items():
        config = config_class(family)()
        assert getattr(config, alias) == getattr(config, name) == getattr(theirs(), alias)
        setattr(config, alias, 48)
        assert getattr(config, name) == 48
        assert config_class(family).from_dict({}, **{alias: 96}).to_dict()[name] == 96
        assert alias not in config.to_dict()


@pytest.mark.parametrize("family", FAMILIES)
def test_assigning_and_files(tmp_path: Path, family: Family) -> None:
    config = config_class(family)(**TINY[family])
    config.is_decoder = True
    config.add_cross_attention = True
    config.decoder_start_token_id = 3
    config.eos_token_id = [2, 5]
    config.save_pretrained(tmp_path)
    assert config_class(family).from_pretrained(tmp_path) == config
    assert config.eos_token_id == (2, 5)
    assert getattr(edgespeech, CLASSES[family])(config).config is config
    with pytest.raises(ConfigError, match="is_decoder must be bool"):
        config.is_decoder = "yes"


def test_whatever_else_a_file_holds_is_kept(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "bart",
                "d_model": 32,
                "num_hidden_layers": 12,
                "encoder_layers": 6,
                "normalize_before": False,
                "task_specific_params": {"summarization": {"num_beams": 4}},
                "pruned_heads": {},
            }
        )
    )
    config = edgespeech.BartConfig.from_pretrained(tmp_path)
    assert config.encoder_layers == 6
    assert config.to_dict()["task_specific_params"] == {"summarization": {"num_beams": 4}}


REFUSED: list[tuple[Family, dict[str, Any], str]] = [
    ("bert", {"hidden_size": 30}, "hidden_size 30 must be a multiple of num_attention_heads 4"),
    ("gpt2", {"n_head": 5}, "n_embd 32 must be a multiple of n_head 5"),
    ("bart", {"decoder_attention_heads": 3}, "d_model 32 must be a multiple of decoder_attention_heads 3"),
    ("speech2text2", {"decoder_attention_heads": 3}, "d_model 32 must be a multiple"),
    ("bert", {"hidden_act": "gelo"}, "hidden_act 'gelo' is unknown"),
    ("mbart", {"activation_function": "gelo"}, "activation_function 'gelo' is unknown"),
    ("bert", {"hidden_dropout_prob": 1.5}, "hidden_dropout_prob must be between 0 and 1"),
    ("gpt2", {"attn_pdrop": -0.1}, "attn_pdrop must be between 0 and 1"),
    ("bart", {"decoder_layerdrop": 2.0}, "decoder_layerdrop must be between 0 and 1"),
    ("gpt2", {"n_inner": 0}, "n_inner must be at least 1"),
    ("bert", {"type_vocab_size": 0}, "type_vocab_size must be at least 1"),
    ("bart", {"vocab_size": 0}, "vocab_size must be at least 1"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key' is not supported"),
    ("bert", {"pruned_heads": {"0": [1]}}, "pruned_heads"),
    ("gpt2", {"n_layer": "two"}, "n_layer must be int"),
]


@pytest.mark.parametrize(("family", "options", "message"), REFUSED)
def test_refused(family: Family, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_class(family).from_dict({**TINY[family], **options})


MODELS_REFUSED: list[tuple[Family, dict[str, Any], str]] = [
    ("bert", {"is_decoder": False}, "set is_decoder=True"),
    ("bart", {"pad_token_id": 50}, "pad_token_id must be below vocab_size 50, got 50"),
    ("gpt2", {"cross_attention_hidden_size": 48}, "cross_attention_hidden_size must be the decoder's hidden size 32"),
    ("speech2text2", {"pad_token_id": None}, "sinusoidal positions need a pad_token_id"),
]


@pytest.mark.parametrize(("family", "options", "message"), MODELS_REFUSED)
def test_no_model_of_it(family: Family, options: dict[str, Any], message: str) -> None:
    config = config_class(family)(**{**TINY[family], **options})
    with pytest.raises(ConfigError, match=message):
        getattr(edgespeech, CLASSES[family])(config)


def test_gpt2_takes_any_padding_token() -> None:
    """Its token table knows no padding."""
    assert make_decoder("gpt2", pad_token_id=50).max_length == 40


def test_another_family_s_configuration() -> None:
    with pytest.raises(ConfigError, match="BartForCausalLM needs a BartConfig, got a MBartConfig"):
        edgespeech.BartForCausalLM(edgespeech.MBartConfig(**TINY["mbart"]))
    with pytest.raises(CheckpointError, match="model_type 'bart'"):
        edgespeech.BartConfig.from_dict({"model_type": "mbart"})


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_encoder_states_without_cross_attention(family: Family) -> None:
    model = make_decoder(family, add_cross_attention=False)
    states, _ = encoder_states(5)
    for call in (lambda: model.cross(states), lambda: model(token_ids(1, 3), None, states)):
        with pytest.raises(ConfigError, match=r"no cross-attention.*add_cross_attention=True"):
            call()
    assert model(token_ids(1, 3)).logits.shape == (1, 3, 50)


INPUTS: list[tuple[dict[str, Any], str]] = [
    ({"input_ids": torch.zeros(3).long()}, "input_ids must be whole numbers"),
    ({"input_ids": torch.zeros(2, 3)}, "input_ids must be whole numbers"),
    ({"input_ids": torch.zeros(2, 0).long()}, "input_ids must be whole numbers"),
    ({"input_ids": torch.full((2, 3), 50)}, "input_ids must be below vocab_size 50"),
    ({"input_ids": torch.full((2, 3), -1)}, "input_ids must be below vocab_size 50"),
    ({"input_ids": torch.zeros(2, 41).long()}, "41 tokens, the position table of the model has 40"),
    ({"input_ids": torch.zeros(2, 3).long(), "attention_mask": torch.ones(2, 4)}, "attention_mask must have the shape"),
    ({"input_ids": torch.zeros(2, 3).long(), "labels": torch.zeros(2, 4).long()}, "labels must have the shape"),
    ({"input_ids": torch.zeros(2, 3).long(), "labels": torch.full((2, 3), 50)}, "labels must be below vocab_size 50"),
    ({"input_ids": torch.zeros(1, 2).long(), "position_ids": torch.tensor([[0, 40]])}, "position_ids must be below 40"),
    (
        {
            "input_ids": torch.zeros(2, 3).long(),
            "encoder_hidden_states": torch.zeros(2, 5, 32),
            "encoder_attention_mask": torch.ones(2, 4),
        },
        "encoder_attention_mask must be",
    ),
    (
        {"input_ids": torch.zeros(2, 3).long(), "encoder_hidden_states": torch.zeros(2, 5, 31)},
        "encoder_hidden_states must be",
    ),
    (
        {"input_ids": torch.zeros(2, 3).long(), "encoder_hidden_states": torch.zeros(3, 5, 32)},
        "encoder_hidden_states must be",
    ),
]


@pytest.mark.parametrize(("given", "message"), INPUTS)
def test_inputs_that_are_refused(given: dict[str, Any], message: str) -> None:
    for family in REFERENCED:
        with pytest.raises(InputError, match=message):
            make_decoder(family)(**given)


@pytest.mark.parametrize("family", REFERENCED)
def test_fresh_weights_are_distributed_as_theirs(family: Family) -> None:
    deviation = {"initializer_range" if family in ("bert", "gpt2") else "init_std": 0.3}
    options = {**TINY[family], **deviation}
    torch.manual_seed(0)
    mine = getattr(edgespeech, CLASSES[family])(config_class(family)(**options))
    theirs = getattr(transformers, CLASSES[family])(getattr(transformers, CONFIGS[family])(**options))
    expected = theirs.state_dict()
    for name, tensor in mine.state_dict().items():
        if tensor.ndim == 1:
            torch.testing.assert_close(tensor, expected[name], atol=0, rtol=0, msg=name)
        else:
            assert float(tensor.std()) == pytest.approx(float(expected[name].std()), rel=0.3), name
            assert float(tensor.mean()) == pytest.approx(0, abs=0.1), name
    table, padding = mine.get_input_embeddings().weight, mine.config.pad_token_id
    if family != "gpt2":
        assert not table[padding].any()
    assert table[padding + 1 if padding is not None else 0].any()
