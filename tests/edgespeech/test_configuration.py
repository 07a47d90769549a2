"""Configurations: defaults, files as they are published, round trips, and values that are refused."""

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import CLASSES, FAMILIES, ONE_FORM, Family

import edgespeech
from edgespeech import (
    Data2VecAudioConfig,
    HubertConfig,
    UniSpeechConfig,
    UniSpeechSatConfig,
    Wav2Vec2Config,
    WavLMConfig,
)
from edgespeech.errors import CheckpointError, ConfigError, MissingFileError

# What published files hold beside the architecture: keys of older releases, of the training and of the hub.
COMMON = {
    "architectures": ["AnyForCTC"],
    "feat_extract_dropout": 0.0,
    "gradient_checkpointing": False,
    "mask_channel_length": 10,
    "mask_channel_min_space": 1,
    "mask_channel_other": 0.0,
    "mask_channel_prob": 0.0,
    "mask_channel_selection": "static",
    "mask_time_min_space": 1,
    "mask_time_other": 0.0,
    "mask_time_selection": "static",
    "num_feat_extract_layers": 7,
    "tokenizer_class": "Wav2Vec2CTCTokenizer",
    "torch_dtype": "float32",
    "transformers_version": "4.7.0.dev0",
}
LARGE = {
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "hidden_dropout_prob": 0.1,
}
PUBLISHED: dict[str, tuple[Family, dict[str, Any]]] = {
    "wav2vec2-base-960h": ("wav2vec2", {"ctc_loss_reduction": "sum", "vocab_size": 32, "final_dropout": 0.1}),
    "wav2vec2-large-xlsr-53": ("wav2vec2", {**LARGE, "mask_time_prob": 0.075, "codevector_dim": 768, "layerdrop": 0.1}),
    "wav2vec2-xls-r-300m": ("wav2vec2", {**LARGE, "adapter_attn_dim": None, "use_weighted_layer_sum": False}),
    "mms-1b-all": (
        "wav2vec2",
        {
            **LARGE,
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 48,
            "adapter_attn_dim": 16,
            "vocab_size": 154,
        },
    ),
    "hubert-large-ls960-ft": ("hubert", {**LARGE, "feat_proj_layer_norm": True, "conv_pos_batch_norm": False}),
    "unispeech-sat-base-plus": (
        "unispeech-sat",
        {"num_clusters": 504, "replace_prob": 0.5, "num_ctc_classes": 80, "feat_quantizer_dropout": 0.0},
    ),
    "wavlm-base-plus-sv": (
        "wavlm",
        {
            "num_buckets": 320,
            "max_bucket_distance": 800,
            "replace_prob": 0.5,
            "freeze_feat_extract_train": True,
            "no_mask_channel_overlap": False,
            "xvector_output_dim": 512,
            "add_adapter": False,
        },
    ),
    "wavlm-large": ("wavlm", {**LARGE, "conv_bias": False, "num_buckets": 320, "max_bucket_distance": 800}),
    "data2vec-audio-base-960h": (  # the reference library reads neither of the norms
        "data2vec-audio",
        {
            "conv_pos_kernel_size": 19,
            "num_conv_pos_embeddings": 5,
            "do_stable_layer_norm": True,
            "feat_extract_norm": "layer",
            "add_adapter": False,
        },
    ),
    "unispeech-large-1500h-cv": (
        "unispeech",
        {**LARGE, "num_ctc_classes": 80, "replace_prob": 0.5, "freeze_feat_extract_train": True},
    ),
}


def obeys(family: Family, values: dict[str, Any]) -> bool:
    """Whether a family reads all of these from a file."""
    return not set(values) & set(ONE_FORM.get(family, ()))


def config_class(family: Family, library: Any = edgespeech) -> Any:
    """Return a family's configuration class."""
    return getattr(library, CLASSES[family] + "Config")


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_are_the_published_ones(family: Family) -> None:
    ours, theirs = config_class(family)().to_dict(), config_class(family, transformers)().to_dict()
    shared = ours.keys() & theirs.keys()
    assert len(shared) >= 40
    for name in shared:
        expected = theirs[name]
        assert ours[name] == (list(expected) if isinstance(expected, tuple) else expected), name


@pytest.mark.parametrize("family", FAMILIES)
def test_every_option_of_transformers_is_read(family: Family) -> None:
    reference = config_class(family, transformers)
    own = set(reference.__dataclass_fields__) - set(transformers.PreTrainedConfig.__dataclass_fields__)
    known = set(config_class(family).__dataclass_fields__)
    assert {name for name in own if not name.startswith("_")} - known <= {"model_type", "keys_to_ignore_at_inference"}


@pytest.mark.parametrize(("family", "values"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_files(tmp_path: Path, family: Family, values: dict[str, Any]) -> None:
    content = COMMON | values | {"model_type": family}
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = config_class(family).from_pretrained(tmp_path)
    assert config == config_class(family).from_dict(content)
    written = config.to_dict()
    assert {name: written[name] for name in content} == content
    config.save_pretrained(tmp_path / "again")
    assert config_class(family).from_pretrained(tmp_path / "again") == config
    theirs = config_class(family, transformers).from_pretrained(tmp_path / "again")
    for name in values:
        assert getattr(theirs, name) == content[name], name
    assert theirs.inputs_to_logits_ratio == config.inputs_to_logits_ratio == 320


def test_mapping_of_fields() -> None:
    config = Wav2Vec2Config(conv_dim=[4, 5], conv_kernel=[3, 3], conv_stride=[2, 2], eos_token_id=[2, 3])
    assert config.conv_dim == (4, 5)
    assert config.to_dict()["conv_dim"] == [4, 5]
    assert config.to_dict()["eos_token_id"] == [2, 3]
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert config.inputs_to_logits_ratio == 4


def test_assignment_is_checked_like_construction() -> None:
    config = Wav2Vec2Config()
    config.conv_bias = True
    config.eos_token_id = [2, 3]  # type: ignore[assignment]  # as JSON and callers have it
    assert (config.conv_bias, config.eos_token_id, config.to_dict()["eos_token_id"]) == (True, (2, 3), [2, 3])
    for name, value, message in [
        ("hidden_size", "abc", "hidden_size must be int, got 'abc'"),
        ("hidden_size", 770, "hidden_size 770 must be a multiple of num_attention_heads 12"),
        ("conv_dim", [3], "one entry per layer each, got 1, 7 and 7"),
        ("conv_pos_batch_norm", True, "wav2vec2 models have no conv_pos_batch_norm"),
        ("hiden_size", 3, "Wav2Vec2Config has no hiden_size; did you mean hidden_size"),
    ]:
        before = config.to_dict()
        with pytest.raises(ConfigError, match=message):
            setattr(config, name, value)
        assert config.to_dict() == before
    with pytest.raises(AttributeError):
        config.output_size = 3  # type: ignore[misc]


def test_other_names_may_be_assigned_and_are_kept(tmp_path: Path) -> None:
    """As snippets do: `model.config.max_length = 64`; the file then holds them, as with the reference library."""
    config = Wav2Vec2Config.from_dict({"spare": 1})
    assert config.spare == 1  # type: ignore[attr-defined]
    config.task_specific = {"a": [1]}  # type: ignore[attr-defined]
    config.save_pretrained(tmp_path)
    again = Wav2Vec2Config.from_pretrained(tmp_path)
    assert again == config
    assert again.extra == {"spare": 1, "task_specific": {"a": [1]}}
    assert not hasattr(config, "absent_name")
    for twin in (copy.deepcopy(config), replace(config), pickle.loads(pickle.dumps(config))):  # noqa: S301
        assert twin == config
        twin.spare = 2  # type: ignore[attr-defined]
        assert config.spare == 1  # type: ignore[attr-defined]


def test_output_size() -> None:
    assert Wav2Vec2Config(hidden_size=96).output_hidden_size == 96
    assert Wav2Vec2Config(hidden_size=96, output_hidden_size=12).output_size == 96
    assert Wav2Vec2Config(hidden_size=96, output_hidden_size=12, add_adapter=True).output_size == 12


# What callers say of classes; transformers is asked for the same.
CLASSES_SAID: list[dict[str, Any]] = [
    {},
    {"num_labels": 2},
    {"num_labels": 5},
    {"num_labels": 1},
    {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 0, "yes": 1}},
    {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": "0", "b": "1", "c": "2"}},
    {"id2label": {0: "alone"}},
    {"num_labels": 3, "id2label": {2: "c", 1: "b", 0: "a"}},
    {"num_labels": 3, "id2label": {0: "a"}},
    {"id2label": None, "label2id": {"a": 0}},
]


@pytest.mark.parametrize("said", CLASSES_SAID, ids=str)
def test_names_of_classes_as_in_transformers(tmp_path: Path, said: dict[str, Any]) -> None:
    ours, theirs = Wav2Vec2Config(**said), transformers.Wav2Vec2Config(**said)
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    files = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("ours", "theirs")]
    for name in ("id2label", "label2id", "num_labels"):
        assert getattr(ours, name) == getattr(theirs, name), name
        assert files[0].get(name) == files[1].get(name), name
    again = Wav2Vec2Config.from_pretrained(tmp_path / "theirs")
    back = transformers.Wav2Vec2Config.from_pretrained(tmp_path / "ours")
    for read in (again, back):
        assert (read.id2label, read.num_labels) == (ours.id2label, len(ours.id2label))
    other = Wav2Vec2Config.from_pretrained(tmp_path / "ours", num_labels=6)
    assert other.id2label == {index: f"LABEL_{index}" for index in range(6)}
    for twin in (copy.deepcopy(ours), replace(ours, hidden_dropout=0.5), pickle.loads(pickle.dumps(ours))):  # noqa: S301
        assert (twin.id2label, twin.label2id) == (ours.id2label, ours.label2id)


def test_the_number_of_classes_may_be_assigned() -> None:
    config = HubertConfig(id2label={0: "a", 1: "b", 2: "c"}, label2id={"a": 0, "b": 1, "c": 2})
    config.num_labels = 3
    assert config.id2label == {0: "a", 1: "b", 2: "c"}
    config.num_labels = 4
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2, "LABEL_3": 3}
    config.id2label = {"0": "x", "1": "y"}  # type: ignore[dict-item]  # as JSON has it
    assert (config.id2label, config.num_labels) == ({0: "x", 1: "y"}, 2)
    assert config.to_dict()["id2label"] == {"0": "x", "1": "y"}


def test_unknown_keys_of_a_file_are_kept_and_those_of_a_caller_refused() -> None:
    config = HubertConfig.from_dict({"spare": [1, {"a": 2}], "hidden_size": 96}, num_hidden_layers=3)
    assert config.extra == {"spare": [1, {"a": 2}]}
    assert config.to_dict()["spare"] == [1, {"a": 2}]
    assert (config.hidden_size, config.num_hidden_layers) == (96, 3)
    with pytest.raises(ConfigError, match="HubertConfig has no foo, spare; check the spelling"):
        HubertConfig.from_dict({"spare": 1}, foo=1, spare=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": "abc"}, "hidden_size must be int, got 'abc'"),
        ({"hidden_size": None}, "hidden_size must be int, got None"),
        ({"hidden_size": 768.5}, "hidden_size must be int, got 768.5"),
        ({"hidden_size": True}, "hidden_size must be int, got True"),
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
        ({"hidden_size": [768]}, r"hidden_size must be int, got \(768,\)"),
        ({"vocab_size": None}, "vocab_size must be int, got None"),
        ({"vocab_size": -1}, "vocab_size must be at least 1, got -1"),
        ({"num_hidden_layers": -1}, "num_hidden_layers must be at least 0, got -1"),
        ({"num_attention_heads": 0}, "num_attention_heads must be at least 1, got 0"),
        ({"num_attention_heads": 7}, "hidden_size 768 must be a multiple of num_attention_heads 7"),
        ({"num_conv_pos_embedding_groups": 5}, "must be a multiple of num_conv_pos_embedding_groups 5"),
        ({"num_conv_pos_embeddings": 0}, "num_conv_pos_embeddings must be at least 1, got 0"),
        ({"conv_dim": 512}, r"conv_dim must be tuple\[int, ...\], got 512"),
        ({"conv_dim": None}, r"conv_dim must be tuple\[int, ...\], got None"),
        ({"conv_dim": [512, "a"]}, r"conv_dim must be tuple\[int, ...\], got \(512, 'a'\)"),
        ({"conv_dim": [512]}, "one entry per layer each, got 1, 7 and 7"),
        ({"conv_dim": [], "conv_kernel": [], "conv_stride": []}, "one entry per layer each, got 0, 0 and 0"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 0]}, "conv_stride must be at least 1, got"),
        ({"hidden_dropout": "none"}, "hidden_dropout must be float, got 'none'"),
        ({"hidden_dropout": 1.5}, "hidden_dropout must be between 0 and 1, got 1.5"),
        ({"layerdrop": -0.1}, "layerdrop must be between 0 and 1, got -0.1"),
        ({"hidden_dropout": float("nan")}, "hidden_dropout must be between 0 and 1, got nan"),
        ({"do_stable_layer_norm": "yes"}, "do_stable_layer_norm must be bool, got 'yes'"),
        ({"do_stable_layer_norm": 1}, "do_stable_layer_norm must be bool, got 1"),
        ({"hidden_act": "gelup"}, "hidden_act 'gelup' is unknown; known: gelu, "),
        ({"hidden_act": None}, "hidden_act must be str, got None"),
        ({"feat_extract_activation": "xielu"}, "feat_extract_activation 'xielu' is unknown"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm must be 'group' or 'layer', got 'batch'"),
        ({"ctc_loss_reduction": "average"}, "ctc_loss_reduction must be 'none', 'mean' or 'sum', got 'average'"),
        ({"num_labels": 0}, "num_labels must be a whole number of at least 1, got 0"),
        ({"num_labels": "3"}, "num_labels must be a whole number of at least 1, got '3'"),
        ({"id2label": ["a"]}, "id2label must be dict"),
        ({"id2label": {"a": 0}}, "id2label must have whole numbers as keys, got 'a'"),
        ({"id2label": {"0": None}}, "id2label must name class 0 by a text, got None"),
        ({"classifier_proj_size": 0}, "classifier_proj_size must be at least 1, got 0"),
        ({"xvector_output_dim": 0}, "xvector_output_dim must be at least 1, got 0"),
        ({"adapter_attn_dim": 0}, "adapter_attn_dim must be at least 1, got 0"),
        ({"adapter_attn_dim": "16"}, r"adapter_attn_dim must be int \| None, got '16'"),
        ({"eos_token_id": ["a"]}, r"eos_token_id must be int \| tuple\[int, ...\] \| None, got \('a',\)"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_refused_values(family: Family, values: dict[str, Any], message: str) -> None:
    if not obeys(family, values):
        pytest.skip("the family has one form of it")
    with pytest.raises(ConfigError, match=message) as caught:
        config_class(family).from_dict(values)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match=message):
        config_class(family)(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_dropout": 0, "layerdrop": 1, "layer_norm_eps": 1, "mask_time_prob": 0},
        {"eos_token_id": [1, 2], "pad_token_id": None, "bos_token_id": None},
        {"num_hidden_layers": 0, "num_adapter_layers": 0},
        {"adapter_attn_dim": None, "output_hidden_size": None},
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_accepted_values(family: Family, values: dict[str, Any]) -> None:
    written = config_class(family).from_dict(values).to_dict()
    assert written.pop("output_hidden_size") == 768
    assert {name: written[name] for name in values if name in written} == {
        name: value for name, value in values.items() if name != "output_hidden_size"
    }


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Wav2Vec2Config, {"conv_pos_batch_norm": True}),
        (Wav2Vec2Config, {"feat_proj_layer_norm": False}),
        (UniSpeechConfig, {"conv_pos_batch_norm": True}),
        (UniSpeechConfig, {"feat_proj_layer_norm": False}),
        (UniSpeechConfig, {"add_adapter": True}),
        (HubertConfig, {"add_adapter": True}),
        (UniSpeechSatConfig, {"add_adapter": True}),
        (WavLMConfig, {"feat_proj_layer_norm": False}),
        (Data2VecAudioConfig, {"do_stable_layer_norm": True}),
    ],
)
def test_options_of_another_family(kind: Any, values: dict[str, Any]) -> None:
    """The reference library ignores these, so a model that obeyed them would not be the checkpoint's."""
    (name,) = values
    with pytest.raises(ConfigError, match=f"{kind.model_type} models have no {name}; leave it at {not values[name]}"):
        kind(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_buckets": 3}, "num_buckets must be at least 4, got 3"),
        ({"max_bucket_distance": 80}, "max_bucket_distance must be above a quarter of num_buckets, 80, got 80"),
        ({"adapter_attn_dim": 3}, "wavlm models have no adapter_attn_dim; leave it at None"),
    ],
)
def test_distances_that_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WavLMConfig(**values)


def test_files_of_another_family(tmp_path: Path) -> None:
    Wav2Vec2Config().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="expected a configuration of model_type 'hubert', got 'wav2vec2'"):
        HubertConfig.from_pretrained(tmp_path)
    with pytest.raises(MissingFileError, match=r"config\.json is missing in"):
        HubertConfig.from_pretrained(tmp_path.parent)


def test_a_fresh_model_of_each_family() -> None:
    for family in FAMILIES:
        config = config_class(family)(hidden_size=32, num_attention_heads=2, num_hidden_layers=1, intermediate_size=8)
        logits = getattr(edgespeech, CLASSES[family] + "ForCTC")(config).eval()(torch.zeros(1, 400)).logits
        assert logits.shape == (1, 1, 32)
