"""Checkpoint folders of encoder-decoders: their layouts, old names, what is broken, and halves that are joined."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import make_checkpoint, waveforms
from decoders import REFERENCED, Family, make_decoder_checkpoint
from encoder_decoders import LAYER_NORM, make_encoder_decoder
from safetensors.torch import load_file, save_file

import edgespeech
from edgespeech import SpeechEncoderDecoderModel
from edgespeech.errors import CheckpointError, ConfigError, MissingFileError, UnknownModelError, WeightsError

WEIGHTS = "model.safetensors"
LABELS = torch.tensor([[5, 6, 7, 2]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_encoder_decoder(tmp_path / "checkpoint", "bart", encoder={**LAYER_NORM, "hidden_size": 16})


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def configure(folder: Path, half: str | None = None, **values: Any) -> None:
    path = folder / "config.json"
    content = json.loads(path.read_text())
    (content if half is None else content[half]).update(values)
    path.write_text(json.dumps(content))


def to_pickle(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def shard(folder: Path) -> None:
    transformers.SpeechEncoderDecoderModel.from_pretrained(folder).save_pretrained(folder, max_shard_size="60KB")
    (folder / WEIGHTS).unlink()
    assert len(list(folder.glob("*.safetensors"))) > 1


def old_weight_norm(folder: Path) -> None:
    stem = "encoder.encoder.pos_conv_embed.conv."

    def change(weights: dict[str, torch.Tensor]) -> None:
        for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
            weights[stem + old] = weights.pop(f"{stem}parametrizations.weight.{new}")

    rewrite(folder, change)


def head_beside_the_table(folder: Path) -> None:
    rewrite(
        folder,
        lambda weights: weights.update(
            {"decoder.lm_head.weight": weights["decoder.model.decoder.embed_tokens.weight"].clone()}
        ),
    )


def head_in_place_of_the_table(folder: Path) -> None:
    rewrite(
        folder,
        lambda weights: weights.update(
            {"decoder.lm_head.weight": weights.pop("decoder.model.decoder.embed_tokens.weight")}
        ),
    )


@pytest.mark.parametrize(
    "layout", [to_pickle, shard, old_weight_norm, head_beside_the_table, head_in_place_of_the_table]
)
def test_layouts(folder: Path, layout: Callable[[Path], None]) -> None:
    expected = SpeechEncoderDecoderModel.from_pretrained(folder).state_dict()
    layout(folder)
    found = SpeechEncoderDecoderModel.from_pretrained(folder).state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_buffers_of_older_checkpoints(tmp_path: Path, family: Family) -> None:
    folder = make_encoder_decoder(tmp_path, family)
    spare = {
        "bert": {"decoder.bert.embeddings.position_ids": torch.arange(40)[None]},
        "gpt2": {
            "decoder.transformer.h.0.attn.bias": torch.ones(1, 1, 40, 40),
            "decoder.transformer.h.1.attn.masked_bias": torch.tensor(-1e4),
            "decoder.transformer.h.0.crossattention.bias": torch.ones(1, 1, 40, 40),
            "decoder.transformer.h.1.crossattention.masked_bias": torch.tensor(-1e4),
        },
    }[family]
    rewrite(folder, lambda weights: weights.update(spare))
    names = SpeechEncoderDecoderModel.from_pretrained(folder).state_dict().keys()
    assert not names & spare.keys()


@pytest.mark.parametrize("family", [*REFERENCED, "speech2text2"])
def test_round_trip(tmp_path: Path, family: Family) -> None:
    library: Any = "edgespeech" if family == "speech2text2" else "transformers"
    model = SpeechEncoderDecoderModel.from_pretrained(make_encoder_decoder(tmp_path / "a", family, weights=library))
    torch.manual_seed(5)
    expected = torch.rand(3)
    model.save_pretrained(tmp_path / "deep" / "b")
    torch.manual_seed(5)
    again = SpeechEncoderDecoderModel.from_pretrained(tmp_path / "deep" / "b")
    assert torch.equal(torch.rand(3), expected), "loading draws nothing"
    assert not again.training
    assert not again.encoder.training
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert again.config.to_dict() == model.config.to_dict() | {"dtype": "float32"}
    assert again.generation_config == model.generation_config
    files = {path.name for path in (tmp_path / "deep" / "b").iterdir()}
    assert files == {"config.json", "generation_config.json", WEIGHTS}
    again.save_pretrained(tmp_path / "deep" / "b")
    assert again.config.encoder is again.encoder.config
    assert again.config.decoder is again.decoder.config


@pytest.mark.parametrize("family", ["bert", "bart"])
def test_fresh_models_are_written_and_read_by_both(tmp_path: Path, family: Family) -> None:
    folder = make_encoder_decoder(tmp_path, family, weights="edgespeech", encoder={**LAYER_NORM, "hidden_size": 16})
    theirs, report = transformers.SpeechEncoderDecoderModel.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ours = SpeechEncoderDecoderModel.from_pretrained(folder)
    audio, _ = waveforms(900)
    mine, reference = (model(input_values=audio, labels=LABELS) for model in (ours, theirs.eval()))
    torch.testing.assert_close(mine.logits, reference.logits, rtol=0, atol=1e-4)


def test_generation_defaults_out_of_an_older_config(folder: Path) -> None:
    """As transformers derives them: the top of config.json counts, then what its decoder's part says."""
    (folder / "generation_config.json").unlink()
    configure(folder, max_length=33, num_beams=None, early_stopping=True)
    configure(folder, "decoder", max_length=200, num_beams=5, forced_bos_token_id=7, length_penalty=0.5)
    ours = SpeechEncoderDecoderModel.from_pretrained(folder).generation_config
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder).generation_config
    assert (ours.max_length, ours.num_beams, ours.forced_bos_token_id, ours.early_stopping) == (33, 5, 7, True)
    for name, value in ours.to_dict().items():
        assert getattr(theirs, name) == value, name
    for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id", "bos_token_id", "forced_eos_token_id"):
        assert getattr(theirs, name) == getattr(ours, name), name


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (
            lambda path: rewrite(path, lambda weights: weights.pop("enc_to_dec_proj.bias")),
            WeightsError,
            r"weights missing in .*: enc_to_dec_proj\.bias; does config.json",
        ),
        (
            lambda path: rewrite(
                path, lambda weights: weights.pop("decoder.model.decoder.layers.0.encoder_attn.k_proj.weight")
            ),
            WeightsError,
            r"missing in .*: decoder\.model\.decoder\.layers\.0\.encoder_attn\.k_proj\.weight; does",
        ),
        (
            lambda path: rewrite(
                path, lambda weights: [weights.pop(name) for name in list(weights) if ".encoder_attn" in name]
            ),
            WeightsError,
            r"missing in .*: decoder\.model\.decoder\.layers\.0\.encoder_attn\.",
        ),
        (
            lambda path: rewrite(path, lambda weights: weights.update({"encoder.spare": torch.zeros(2)})),
            WeightsError,
            r"SpeechEncoderDecoderModel does not have: encoder\.spare; does",
        ),
        (
            lambda path: rewrite(path, lambda weights: weights.update({"lm_head.weight": torch.zeros(2)})),
            WeightsError,
            r"SpeechEncoderDecoderModel does not have: lm_head\.weight; does",
        ),
        (lambda path: configure(path, "encoder", hidden_size=32), WeightsError, "the configuration asks for"),
        (lambda path: configure(path, "decoder", decoder_layers=3), WeightsError, "missing in"),
        (
            lambda path: configure(path, "decoder", cross_attention_hidden_size=20),
            ConfigError,
            "cross_attention_hidden",
        ),
        (lambda path: configure(path, "decoder", model_type="t5"), UnknownModelError, "decoder has model_type 't5'"),
        (lambda path: configure(path, "encoder", model_type="sew"), UnknownModelError, "encoder has model_type 'sew'"),
        (lambda path: configure(path, model_type="bart"), CheckpointError, "'speech-encoder-decoder', got 'bart'"),
        (lambda path: (path / "generation_config.json").write_text("{"), CheckpointError, "not valid JSON"),
        (lambda path: (path / WEIGHTS).unlink(), MissingFileError, "no weights in"),
    ],
)
def test_broken_checkpoints(folder: Path, damage: Any, error: type[Exception], message: str) -> None:
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        SpeechEncoderDecoderModel.from_pretrained(folder)
    assert "\n" not in str(caught.value)


HEADS = {
    "bert": ("BertModel", "BertForMaskedLM", "BertForPreTraining", "BertLMHeadModel"),
    "gpt2": ("GPT2Model", "GPT2LMHeadModel"),
    "bart": ("BartModel", "BartForConditionalGeneration", "BartForCausalLM"),
    "mbart": ("MBartForConditionalGeneration", "MBartForCausalLM"),
}
PLAIN = {"bert": {"is_decoder": False, "add_cross_attention": False}, "gpt2": {"add_cross_attention": False}}


@pytest.mark.parametrize(("family", "kind"), [(family, kind) for family in HEADS for kind in HEADS[family]])
def test_joining_checkpoints(tmp_path: Path, family: Family, kind: str) -> None:
    """Weights of the cross-attention that there are not are drawn, and named; all others are the checkpoints'."""
    first = make_checkpoint(tmp_path / "first", "hubert")
    second = make_decoder_checkpoint(
        tmp_path / "second", family, weights="transformers", kind=kind, **PLAIN.get(family, {})
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = SpeechEncoderDecoderModel.from_encoder_decoder_pretrained(first, second)
    assert not ours.training
    assert not ours.decoder.training
    told = " ".join(str(warning.message) for warning in caught)
    assert len(caught) <= 1, told
    there = [*load_file(first / WEIGHTS).values(), *load_file(second / WEIGHTS).values()]
    drawn = {
        name.removeprefix("decoder.")
        for name, tensor in ours.named_parameters()
        if not any(tensor.shape == other.shape and torch.equal(tensor, other) for other in there)
    }
    assert all(name in told for name in drawn), "what is drawn is named"
    assert any("crossattention" in name for name in drawn) == (family in PLAIN)
    assert not any(name.startswith("encoder.") or "embed" in name or "wte" in name for name in drawn)
    assert ours.config.decoder.add_cross_attention
    audio, _ = waveforms(4000)
    ours(audio, decoder_input_ids=LABELS).logits.sum().backward()


def test_options_of_joined_checkpoints(tmp_path: Path) -> None:
    first = make_checkpoint(tmp_path / "first", "wav2vec2", head="Model", hidden_size=16)
    second = make_decoder_checkpoint(tmp_path / "second", "bart", weights="transformers")
    join = SpeechEncoderDecoderModel.from_encoder_decoder_pretrained
    model = join(
        first,
        second,
        encoder_add_adapter=False,
        encoder_hidden_dropout=0.3,
        decoder_dropout=0.2,
        decoder_start_token_id=4,
        pad_token_id=1,
    )
    assert model.encoder.config.hidden_dropout == 0.3
    assert model.decoder.config.dropout == 0.2
    assert (model.config.decoder_start_token_id, model.config.pad_token_id) == (4, 1)
    assert model.enc_to_dec_proj.weight.shape == (32, 16)
    again = join(encoder_model=model.encoder, decoder_model=model.decoder)
    assert again.encoder is model.encoder
    config = edgespeech.BartConfig.from_pretrained(second)
    config.dropout = 0.4
    assert join(first, second, decoder_config=config).config.decoder.dropout == 0.4
    with pytest.raises(ConfigError, match="Wav2Vec2Config has no foo; check the spelling"):
        join(first, second, encoder_foo=1)
    with pytest.raises(ConfigError, match="SpeechEncoderDecoderConfig has no foo; check the spelling"):
        join(first, second, foo=1)
    with pytest.raises(ConfigError, match="give a checkpoint of the decoder, or the decoder itself as decoder_model"):
        join(first)
    with pytest.raises(
        UnknownModelError, match=r"encoder .*second has model_type 'bart'; known are: data2vec-audio, hubert"
    ):
        join(second, second)
    with pytest.raises(UnknownModelError, match=r"decoder .*first has model_type 'wav2vec2'; known are: bart, bert"):
        join(first, first)
    with pytest.raises(MissingFileError, match="nowhere"):
        join(tmp_path / "nowhere", second)


def test_overrides_and_other_configurations(folder: Path) -> None:
    model = SpeechEncoderDecoderModel.from_pretrained(folder, pad_token_id=9)
    assert model.config.pad_token_id == 9
    config = edgespeech.SpeechEncoderDecoderConfig.from_pretrained(folder)
    config.encoder.hidden_dropout = 0.25
    assert SpeechEncoderDecoderModel.from_pretrained(folder, config=config).encoder.config.hidden_dropout == 0.25
    with pytest.raises(ConfigError, match="has no foo"):
        SpeechEncoderDecoderModel.from_pretrained(folder, foo=1)
