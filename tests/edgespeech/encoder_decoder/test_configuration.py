"""Configurations of encoder-decoders: files as they are published, round trips, and values that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from checkpoints import TINY
from speech2text2_goldens import CASES, checkpoint

from edgespeech import (
    BartConfig,
    BertConfig,
    GPT2Config,
    HubertConfig,
    MBartConfig,
    SpeechEncoderDecoderConfig,
    SpeechEncoderDecoderModel,
    UniSpeechConfig,
    Wav2Vec2Config,
)
from edgespeech.errors import CheckpointError, ConfigError, UnknownModelError

# What transformers 4 wrote into each half, whatever it was: the defaults of its base class.
SPELLED_OUT: dict[str, Any] = {
    "_name_or_path": "",
    "architectures": None,
    "bad_words_ids": None,
    "begin_suppress_tokens": None,
    "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None,
    "decoder_start_token_id": None,
    "diversity_penalty": 0.0,
    "do_sample": False,
    "early_stopping": False,
    "encoder_no_repeat_ngram_size": 0,
    "exponential_decay_length_penalty": None,
    "finetuning_task": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "is_encoder_decoder": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "length_penalty": 1.0,
    "max_length": 20,
    "min_length": 0,
    "no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "num_beams": 1,
    "num_return_sequences": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_scores": False,
    "prefix": None,
    "problem_type": None,
    "pruned_heads": {},
    "remove_invalid_values": False,
    "repetition_penalty": 1.0,
    "return_dict": True,
    "return_dict_in_generate": False,
    "sep_token_id": None,
    "suppress_tokens": None,
    "task_specific_params": None,
    "temperature": 1.0,
    "tf_legacy_loss": False,
    "tie_encoder_decoder": False,
    "tie_word_embeddings": True,
    "tokenizer_class": None,
    "top_k": 50,
    "top_p": 1.0,
    "torch_dtype": None,
    "torchscript": False,
    "transformers_version": "4.17.0.dev0",
    "typical_p": 1.0,
    "use_bfloat16": False,
}
AS_ENCODER = {**SPELLED_OUT, "is_decoder": False, "add_cross_attention": False}
AS_DECODER = {**SPELLED_OUT, "is_decoder": True, "add_cross_attention": True}
XLS_R: dict[str, Any] = {
    **AS_ENCODER,
    "model_type": "wav2vec2",
    "add_adapter": True,
    "adapter_kernel_size": 3,
    "adapter_stride": 2,
    "num_adapter_layers": 3,
    "output_hidden_size": 1024,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "conv_bias": True,
    "do_stable_layer_norm": True,
    "feat_extract_norm": "layer",
    "feat_extract_dropout": 0.0,
    "gradient_checkpointing": False,
    "layerdrop": 0.0,
    "mask_time_prob": 0.0,
    "num_feat_extract_layers": 7,
    "use_weighted_layer_sum": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "vocab_size": 32,
}
MBART_50: dict[str, Any] = {
    **AS_DECODER,
    "model_type": "mbart",
    "_num_labels": 3,
    "add_bias_logits": False,
    "add_final_layer_norm": True,
    "activation_function": "relu",
    "d_model": 1024,
    "decoder_attention_heads": 16,
    "decoder_ffn_dim": 4096,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "encoder_layers": 12,
    "max_position_embeddings": 1024,
    "normalize_before": True,
    "normalize_embedding": True,
    "num_hidden_layers": 12,
    "scale_embedding": True,
    "static_position_embeddings": False,
    "gradient_checkpointing": False,
    "classif_dropout": 0.0,
    "max_length": 200,
    "num_beams": 5,
    "early_stopping": True,
    "forced_eos_token_id": 2,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "vocab_size": 250054,
}
WHOLE: dict[str, Any] = {
    "_name_or_path": "./",
    "architectures": ["SpeechEncoderDecoderModel"],
    "decoder_start_token_id": 250003,
    "eos_token_id": 2,
    "forced_bos_token_id": None,
    "forced_eos_token_id": 2,
    "is_encoder_decoder": True,
    "max_length": 200,
    "model_type": "speech-encoder-decoder",
    "num_beams": 5,
    "pad_token_id": 1,
    "processor_class": "Wav2Vec2Processor",
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": None,
}
SMALL = {"model_type": "bert", "hidden_size": 24, "num_hidden_layers": 1, "vocab_size": 9}
OTHER_NAMES = frozenset(("num_hidden_layers", "num_attention_heads", "hidden_size"))
# facebook/wav2vec2-xls-r-300m-en-to-15 in outline, and other decoders under the same base class's defaults.
PUBLISHED: dict[str, dict[str, Any]] = {
    "xls-r-en-to-15": {**WHOLE, "encoder": XLS_R, "decoder": MBART_50},
    "bert": {**WHOLE, "encoder": XLS_R, "decoder": {**AS_DECODER, "model_type": "bert", "position_buckets": 1}},
    "gpt2": {**WHOLE, "encoder": XLS_R, "decoder": {**AS_DECODER, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768}},
    "bart": {
        **WHOLE,
        "encoder": {**AS_ENCODER, "model_type": "hubert", "conv_pos_kernel_size": 128},
        "decoder": {**AS_DECODER, "model_type": "bart", "force_bos_token_to_be_generated": False, "id2label": None},
    },
}


def same_halves(written: dict[str, Any], content: dict[str, Any]) -> None:
    """Check that nothing got lost but other names of what is there (`num_hidden_layers` of an mBART)."""
    for half in ("encoder", "decoder"):
        lost = OTHER_NAMES - written[half].keys()
        expected = {name: value for name, value in content[half].items() if name not in lost}
        assert {name: written[half][name] for name in expected} == expected


@pytest.mark.parametrize("content", PUBLISHED.values(), ids=PUBLISHED)
def test_published_files(tmp_path: Path, content: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    config = SpeechEncoderDecoderConfig.from_pretrained(tmp_path)
    written = config.to_dict()
    same_halves(written, content)
    assert {name: written[name] for name in content if name not in ("encoder", "decoder")} == {
        name: value for name, value in content.items() if name not in ("encoder", "decoder")
    }
    config.save_pretrained(tmp_path / "again")
    assert SpeechEncoderDecoderConfig.from_pretrained(tmp_path / "again") == config
    theirs = transformers.SpeechEncoderDecoderConfig.from_pretrained(tmp_path / "again")
    assert theirs.encoder.hidden_size == config.encoder.hidden_size
    assert theirs.decoder.hidden_size == config.decoder.hidden_size
    assert theirs.decoder.add_cross_attention


@pytest.mark.parametrize("case", CASES)
def test_files_of_transformers_4(case: str) -> None:
    content = json.loads((checkpoint(case) / "config.json").read_text())
    written = SpeechEncoderDecoderConfig.from_pretrained(checkpoint(case)).to_dict()
    same_halves(written, content)


@pytest.mark.parametrize("encoder", [Wav2Vec2Config, HubertConfig, UniSpeechConfig])
@pytest.mark.parametrize("decoder", [BertConfig, GPT2Config, BartConfig, MBartConfig])
def test_joining_two_configurations(tmp_path: Path, encoder: Any, decoder: Any) -> None:
    first, second = encoder(hidden_size=96), decoder(vocab_size=99)
    config = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(first, second, pad_token_id=3, max_length=64)
    assert (config.decoder.is_decoder, config.decoder.add_cross_attention) == (True, True)
    assert (second.is_decoder, second.add_cross_attention) == (True, True), "as with the reference library"
    assert (config.pad_token_id, config.decoder_start_token_id, config.max_length) == (3, None, 64)
    assert (config.is_encoder_decoder, config.encoder.hidden_size, config.decoder.vocab_size) == (True, 96, 99)
    first.hidden_dropout = 0.5
    assert config.encoder.hidden_dropout == 0.1
    config.save_pretrained(tmp_path)
    assert SpeechEncoderDecoderConfig.from_pretrained(tmp_path) == config
    theirs = transformers.SpeechEncoderDecoderConfig.from_pretrained(tmp_path)
    assert (theirs.encoder.model_type, theirs.decoder.model_type) == (encoder.model_type, decoder.model_type)
    assert (theirs.pad_token_id, theirs.decoder.vocab_size) == (3, 99)


def test_defaults_are_the_reference_librarys() -> None:
    ours, theirs = SpeechEncoderDecoderConfig(), transformers.SpeechEncoderDecoderConfig()
    for half in ("encoder", "decoder"):
        mine, reference = getattr(ours, half), getattr(theirs, half)
        assert mine.model_type == reference.model_type
        assert (mine.hidden_size, mine.num_hidden_layers) == (reference.hidden_size, reference.num_hidden_layers)
    assert ours.decoder.add_cross_attention


def test_assignment() -> None:
    config = SpeechEncoderDecoderConfig(encoder=Wav2Vec2Config(), decoder=BertConfig())
    config.pad_token_id, config.decoder_start_token_id, config.max_length = 0, 101, 64  # type: ignore[attr-defined]
    config.decoder = GPT2Config().to_dict()  # type: ignore[assignment]
    assert isinstance(config.decoder, GPT2Config)
    assert config.to_dict()["max_length"] == 64
    with pytest.raises(ConfigError, match=r"pad_token_id must be int \| None, got 'a'"):
        config.pad_token_id = "a"  # type: ignore[assignment]
    with pytest.raises(UnknownModelError, match="encoder has model_type 'gpt2'"):
        config.encoder = GPT2Config()  # type: ignore[assignment]
    assert isinstance(config.encoder, Wav2Vec2Config)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"encoder": {"model_type": "sew"}},
            UnknownModelError,
            "encoder has model_type 'sew'; known are: data2vec-audio, ",
        ),
        ({"encoder": {"hidden_size": 8}}, UnknownModelError, "encoder has model_type None; known are: data2vec"),
        (
            {"decoder": {"model_type": "llama"}},
            UnknownModelError,
            "decoder has model_type 'llama'; known are: bart, bert, gpt2, marian, mbart, roberta, ",
        ),
        ({"decoder": BertConfig}, ConfigError, "decoder must be a configuration or the content of one, got type"),
        ({"decoder": {"model_type": "bert", "hidden_size": "x"}}, ConfigError, "hidden_size must be int, got 'x'"),
        ({"encoder": HubertConfig(), "decoder": HubertConfig()}, UnknownModelError, "decoder has model_type 'hubert'"),
        ({"model_type": "wav2vec2"}, CheckpointError, "of model_type 'speech-encoder-decoder', got 'wav2vec2'"),
    ],
)
def test_refused(values: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        SpeechEncoderDecoderConfig.from_dict(values)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_whose_decoder_has_no_cross_attention() -> None:
    for option in ("is_decoder", "add_cross_attention"):
        content = {"encoder": Wav2Vec2Config(**TINY).to_dict(), "decoder": {**SMALL, option: False}}
        with pytest.raises(ConfigError, match=option):
            SpeechEncoderDecoderModel(SpeechEncoderDecoderConfig.from_dict(content))


def test_an_option_that_is_none() -> None:
    with pytest.raises(ConfigError, match="SpeechEncoderDecoderConfig has no pad_tokn_id; check the spelling"):
        SpeechEncoderDecoderConfig.from_encoder_decoder_configs(Wav2Vec2Config(), BertConfig(), pad_tokn_id=3)
    with pytest.raises(ConfigError, match="encoder must be a configuration, got dict"):
        SpeechEncoderDecoderConfig.from_encoder_decoder_configs({}, BertConfig())  # type: ignore[arg-type]
