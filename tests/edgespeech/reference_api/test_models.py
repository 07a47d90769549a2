"""What can be done with a model beside calling it: recomputed layers, other vocabularies, adapters, halves."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import LANGUAGES, TINY, make_checkpoint, make_multilingual, waveforms
from decoders import make_decoder, make_decoder_checkpoint, token_ids
from encoder_decoders import LAYER_NORM, make_encoder_decoder, make_model

import edgespeech
from edgespeech.errors import ConfigError, InputError

FAMILIES = ("bert", "gpt2", "bart", "mbart")
AUDIO, MASK = waveforms(1500, 900)
LABELS = torch.tensor([[5, 9, 2], [7, 2, -100]])


def gradients(model: Any, **given: Any) -> dict[str, Any]:
    model.zero_grad()
    torch.manual_seed(0)
    model(**given).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("options", [None, {"use_reentrant": False}])
def test_recomputed_layers_give_the_same_gradients(options: dict[str, Any] | None) -> None:
    model = make_model("gpt2", weights="edgespeech", encoder={"hidden_dropout": 0.2}, decoder={"resid_pdrop": 0.2})
    given = {"inputs": AUDIO, "attention_mask": MASK, "labels": LABELS}
    model.train()
    kept = gradients(model, **given)
    calls: list[int] = []
    for layer in (*model.encoder.encoder.layers, *model.decoder.layers):
        layer.register_forward_pre_hook(lambda module, inputs: calls.append(id(module)))
    model.gradient_checkpointing_enable(options)
    assert model.is_gradient_checkpointing
    again = gradients(model, **given)
    assert len(calls) == 2 * len(set(calls)), "each layer runs twice"
    assert again.keys() == kept.keys()
    for name, value in kept.items():
        torch.testing.assert_close(again[name], value, msg=name)
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing
    calls.clear()
    gradients(model, **given)
    assert len(calls) == len(set(calls))
    model.activation_checkpointing_enable()
    assert model.encoder.is_gradient_checkpointing
    assert "past_key_values" not in model(**given)
    with pytest.raises(ConfigError, match="gradient checkpointing keeps no keys and values; set use_cache=False"):
        model(**given, use_cache=True)
    with pytest.raises(ConfigError, match="use_reentrant=True cannot be had"):
        model.gradient_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(ConfigError, match="gradient checkpointing has no option fast; known: "):
        model.gradient_checkpointing_enable({"fast": True})
    assert "past_key_values" in model.eval()(**given)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_other_numbers_of_tokens(tmp_path: Path, family: Any, tied: bool) -> None:
    make_decoder_checkpoint(tmp_path, family, weights="transformers", tie_word_embeddings=tied)
    ours = make_decoder(family, tie_word_embeddings=tied)
    name = type(ours).__name__
    ours = type(ours).from_pretrained(tmp_path)
    theirs = getattr(transformers, name).from_pretrained(tmp_path).eval()
    old, ids = ours.vocab_size, token_ids(2, 5)
    for count, multiple in ((old + 5, None), (old - 9, None), (old - 9, 16), (None, None)):
        table = ours.resize_token_embeddings(count, pad_to_multiple_of=multiple)
        expected = theirs.resize_token_embeddings(count, pad_to_multiple_of=multiple)
        rows = len(expected.weight)
        assert len(table.weight) == ours.vocab_size == ours.config.vocab_size == rows
        assert ours.get_output_embeddings().weight.shape == theirs.get_output_embeddings().weight.shape
        assert (ours.get_output_embeddings().weight is table.weight) == tied
        low = ids % min(rows, old - 9)
        with torch.no_grad():
            mine, reference = ours(low).logits, theirs(low).logits
        torch.testing.assert_close(mine[..., : old - 9], reference[..., : old - 9], rtol=0, atol=1e-4)
    ours.resize_token_embeddings(old + 64)
    new = ours.get_input_embeddings().weight[old:].detach()
    assert float((new - ours.get_input_embeddings().weight[:64].detach().mean(0)).abs().max()) < 0.2
    ours.save_pretrained(tmp_path / "again")
    again = type(ours).from_pretrained(tmp_path / "again")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in ours.state_dict().items())
    ours.resize_token_embeddings(old + 100, mean_resizing=False)
    drawn = ours.get_input_embeddings().weight[old + 64 :].detach()
    assert float(drawn.std()) == pytest.approx(ours.architecture.deviation, rel=0.2)
    for wrong in (0, -3, 2.5, True):
        with pytest.raises(ConfigError, match="new_num_tokens must be a whole number of at least 1"):
            ours.resize_token_embeddings(wrong)


def test_tokens_of_an_encoder_decoder(tmp_path: Path) -> None:
    make_encoder_decoder(tmp_path, "bart")
    model = edgespeech.SpeechEncoderDecoderModel.from_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"call model\.decoder\.resize_token_embeddings"):
        model.resize_token_embeddings(60)
    model.decoder.resize_token_embeddings(60)
    assert model.config.decoder.vocab_size == 60  # type: ignore[union-attr, attr-defined]
    assert model(AUDIO, labels=LABELS).logits.shape[-1] == 60
    assert model.generate(AUDIO, max_length=5).shape[0] == 2
    model.save_pretrained(tmp_path / "again")
    assert edgespeech.SpeechEncoderDecoderModel.from_pretrained(tmp_path / "again").decoder.vocab_size == 60
    head = torch.nn.Linear(model.decoder.hidden_size, 60, bias=False)
    model.set_output_embeddings(head)
    assert model.get_output_embeddings() is head
    model.tie_weights()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    for kind in (edgespeech.Wav2Vec2ForCTC, edgespeech.HubertModel):
        speech: Any = kind(kind.config_class(**TINY))
        with pytest.raises(ConfigError, match="reads waveforms and has no token table"):
            speech.resize_token_embeddings(40)
        speech.tie_weights()
        assert speech.get_output_embeddings() is None


def test_adapters_of_languages(tmp_path: Path) -> None:
    folder = make_multilingual(tmp_path)
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder, target_lang="eng")
    with torch.no_grad():
        model.lm_head.bias.add_(1.0)
    changed = model.lm_head.bias.detach().clone()
    model.load_adapter("eng", force_load=False)
    assert torch.equal(model.lm_head.bias, changed)
    model.load_adapter("eng")
    assert not torch.equal(model.lm_head.bias, changed)
    model.load_adapter("fra", force_load=False, revision="main", token=None, cache_dir=None, local_files_only=True)
    assert model.config.vocab_size == model.base_model.config.vocab_size == LANGUAGES["fra"]
    with pytest.raises(ConfigError, match="load_adapter has no option mirror; leave it out"):
        model.load_adapter("fra", mirror="x")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    model.init_adapter_layers()
    names = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert names == {name for name in before if ".adapter_layer." in name or name.startswith("lm_head.")}
    assert float(model.lm_head.weight.detach().std()) == pytest.approx(model.config.initializer_range, rel=0.2)
    assert not model.lm_head.bias.any()


def test_base_models() -> None:
    encoder = edgespeech.HubertModel(edgespeech.HubertConfig(**TINY))
    assert encoder.base_model is encoder
    ctc = edgespeech.HubertForCTC(encoder.config)
    assert ctc.base_model is ctc.hubert
    decoder = make_decoder("bart")
    assert decoder.base_model is decoder.model
    whole = make_model("bart", weights="edgespeech")
    assert whole.base_model is whole


@pytest.mark.parametrize("adapter", [True, False])
def test_frames_by_the_name_in_the_samples(adapter: bool) -> None:
    options = {**TINY, "add_adapter": adapter, "output_hidden_size": 32}
    ours, theirs = (library.Wav2Vec2ForCTC(library.Wav2Vec2Config(**options)) for library in (edgespeech, transformers))
    for samples in (4000, 16000, torch.tensor([3201, 50000])):
        found = ours._get_feat_extract_output_lengths(samples)
        assert found.tolist() == theirs._get_feat_extract_output_lengths(samples).tolist()


@pytest.mark.parametrize("name", ["UniSpeech", "UniSpeechSat"])
def test_negatives_without_a_loss_are_refused(name: str) -> None:
    config = getattr(edgespeech, f"{name}Config")(**TINY)
    model = getattr(edgespeech, f"{name}ForPreTraining")(config).eval()
    frames = int(model.base_model.frames(torch.tensor(1500)))
    negatives = torch.zeros(2, frames, 3, dtype=torch.long)
    assert model(AUDIO, sampled_negative_indices=None).loss is None
    with pytest.raises(InputError, match=f"a {name}ForPreTraining has no contrastive loss, .*; leave sampled_negative"):
        model(AUDIO, sampled_negative_indices=negatives)


@pytest.fixture
def halves(tmp_path: Path) -> tuple[Path, Path]:
    plain = {"is_decoder": False, "add_cross_attention": False}
    encoder = make_checkpoint(tmp_path / "encoder", head="Model", **LAYER_NORM)
    return encoder, make_decoder_checkpoint(tmp_path / "decoder", "bert", weights="transformers", **plain)


@pytest.mark.filterwarnings("ignore:.* has no weights for:UserWarning")
def test_arguments_of_halves(halves: tuple[Path, Path]) -> None:
    given = {
        "encoder_add_adapter": True,
        "encoder_num_adapter_layers": 1,
        "encoder_layerdrop": 0.0,
        "encoder_output_hidden_states": True,
        "decoder_hidden_dropout_prob": 0.3,
        "decoder_output_attentions": True,
        "pad_token_id": 0,
        "max_length": 9,
    }
    model = edgespeech.SpeechEncoderDecoderModel.from_encoder_decoder_pretrained(
        *halves, **given, decoder_start_token_id=1
    )
    theirs = transformers.SpeechEncoderDecoderModel.from_encoder_decoder_pretrained(
        *halves, **given, encoder_attn_implementation="eager", decoder_attn_implementation="eager"
    )
    for half in ("encoder", "decoder"):
        ours, reference = getattr(model.config, half), getattr(theirs.config, half)
        for name in given:
            field = name.removeprefix(half + "_")
            if field != name:
                assert getattr(ours, field) == getattr(reference, field) == given[name]
    assert set(model.state_dict()) == set(theirs.state_dict())
    theirs.load_state_dict(model.state_dict())
    theirs.config.decoder_start_token_id = model.config.decoder_start_token_id
    audio, _ = waveforms(4000, 4000)
    with torch.no_grad():
        result, expected = (one.eval()(audio, labels=LABELS.clamp(0)) for one in (model, theirs))
    assert {"encoder_hidden_states", "decoder_attentions", "cross_attentions"} <= result.keys()
    torch.testing.assert_close(result.logits, expected.logits, rtol=0, atol=1e-4)
    assert model.generate(audio).shape[1] <= 9


@pytest.mark.filterwarnings("ignore:.* has no weights for:UserWarning")
def test_other_arguments_of_halves(halves: tuple[Path, Path]) -> None:
    join = edgespeech.SpeechEncoderDecoderModel.from_encoder_decoder_pretrained
    model = join(*halves, encoder_dtype="float64", decoder_dtype="float64", decoder_device_map="cpu")
    assert {parameter.dtype for parameter in (*model.encoder.parameters(), *model.decoder.parameters())} == {
        torch.float64
    }
    config = edgespeech.BertConfig.from_pretrained(halves[1], is_decoder=True, add_cross_attention=True)
    config.hidden_dropout_prob = 0.4
    encoder = edgespeech.Wav2Vec2Model.from_pretrained(halves[0])
    model = join(None, halves[1], encoder_model=encoder, decoder_config=config)
    assert model.encoder is encoder
    assert model.decoder.config.hidden_dropout_prob == 0.4
    model = join(*halves, decoder_vocab_size=70, decoder_ignore_mismatched_sizes=True)
    assert model.decoder.vocab_size == 70
    with pytest.raises(ConfigError, match="BertConfig has no layerdrop; check the spelling"):
        join(*halves, decoder_layerdrop=0.1)
    with pytest.raises(ConfigError, match="device_map must be one device"):
        join(*halves, encoder_device_map="auto")
    with pytest.raises(ConfigError, match="give a checkpoint of the decoder, or the decoder itself as decoder_model"):
        join(halves[0])


def test_options_of_saving(tmp_path: Path) -> None:
    model = edgespeech.Wav2Vec2ForCTC(edgespeech.Wav2Vec2Config(**TINY))
    model.save_pretrained(tmp_path / "kept", safe_serialization=True, push_to_hub=False)
    assert (tmp_path / "kept" / "model.safetensors").is_file()
    for option in ({"safe_serialization": False}, {"push_to_hub": True}):
        with pytest.raises(ConfigError, match=f"{next(iter(option))}=.* is not possible"):
            model.save_pretrained(tmp_path / "other", **option)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("options", [{}, {"only_trainable": True}, {"exclude_embeddings": True}])
def test_numbers_of_parameters(options: dict[str, bool]) -> None:
    config = {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 20}
    mine, theirs = (library.GPT2LMHeadModel(library.GPT2Config(**config)) for library in (edgespeech, transformers))
    for model in (mine, theirs):
        model.transformer.ln_f.requires_grad_(False)
    assert mine.num_parameters(**options) == theirs.num_parameters(**options)
