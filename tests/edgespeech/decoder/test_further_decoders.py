"""RoBERTa, XLM-R, TrOCR and Marian as decoders, against transformers: logits, the cache, and what they generate."""

from pathlib import Path
from typing import Any

import edgespeech_runtime
import pytest
import torch
import transformers
from checkpoints import TINY, enliven, waveforms, write_processor
from decoders import SEQ2SEQ, encoder_states
from decoders import TINY as DECODERS
from edgespeech_export import ExportOptions, export

import edgespeech
from edgespeech.errors import ConfigError

VOCABULARY = 50
BERT = {**DECODERS["bert"], "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
FAIRSEQ = {**SEQ2SEQ, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "roberta": ("Roberta", BERT),
    "roberta, other padding": ("Roberta", {**BERT, "pad_token_id": 4, "type_vocab_size": 1}),
    "xlm-roberta": ("XLMRoberta", {**BERT, "tie_word_embeddings": False}),
    "trocr": ("TrOCR", {key: FAIRSEQ[key] for key in FAIRSEQ if not key.startswith("encoder_")}),
    "trocr, relu": (
        "TrOCR",
        {
            **{key: FAIRSEQ[key] for key in FAIRSEQ if not key.startswith("encoder_")},
            "activation_function": "relu",
            "scale_embedding": True,
            "tie_word_embeddings": False,
        },
    ),
    "marian": ("Marian", {**FAIRSEQ, "activation_function": "swish", "scale_embedding": True, "pad_token_id": 49}),
}


def make(name: str, folder: Path) -> tuple[Any, Any]:
    """Write a decoder by transformers, and load it from here too."""
    family, options = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**options)
    config.is_decoder = config.add_cross_attention = True
    theirs = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    table = theirs.state_dict().get("model.decoder.embed_positions.weight") if family == "Marian" else None
    table = None if table is None else table.clone()
    enliven(theirs)
    if table is not None:
        theirs.state_dict()["model.decoder.embed_positions.weight"].copy_(table)
    theirs.save_pretrained(folder)
    return theirs, getattr(edgespeech, f"{family}ForCausalLM").from_pretrained(folder)


def tokens(batch: int, length: int) -> torch.Tensor:
    """Ids that are no padding in any family."""
    return torch.randint(5, VOCABULARY - 1, (batch, length), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", FAMILIES)
def test_logits(name: str, tmp_path: Path) -> None:
    theirs, mine = make(name, tmp_path)
    assert {key: tuple(value.shape) for key, value in mine.state_dict().items()} == {
        key: tuple(value.shape) for key, value in theirs.state_dict().items() if not key.endswith("position_ids")
    }
    states, seen = encoder_states(11, 5, 1)
    ids, mask = tokens(3, 9), torch.ones(3, 9, dtype=torch.long)
    mask[1, 6:] = 0
    given = {"encoder_hidden_states": states, "encoder_attention_mask": seen, "attention_mask": mask}
    with torch.no_grad():
        expected, found = theirs(ids, **given).logits, mine(ids, **given).logits
    real = mask.bool()
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "trocr", "marian"])
def test_an_encoder_decoder_generates_the_same(name: str, tmp_path: Path) -> None:
    checkpoint(name, tmp_path)
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    mine = edgespeech.SpeechEncoderDecoderModel.from_pretrained(tmp_path)
    audio, mask = waveforms(3000, 1700)
    for options in ({"num_beams": 1}, {"num_beams": 3, "num_return_sequences": 2}):
        options |= {"max_length": 14, "min_length": 4}
        expected = theirs.generate(audio, attention_mask=mask, **options)
        assert mine.generate(audio, attention_mask=mask, **options).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "name", ["roberta", pytest.param("trocr", marks=pytest.mark.slow), pytest.param("marian", marks=pytest.mark.slow)]
)
def test_a_bundle_generates_the_same(name: str, tmp_path: Path) -> None:
    checkpoint(name, tmp_path / "checkpoint")
    export(tmp_path / "checkpoint", tmp_path / "bundle", ExportOptions(engine="numpy"))
    model = edgespeech.SpeechEncoderDecoderModel.from_pretrained(tmp_path / "checkpoint")
    audio, _ = waveforms(3000)
    with edgespeech_runtime.load(tmp_path / "bundle") as loaded:
        heard = edgespeech.AutoFeatureExtractor.from_pretrained(tmp_path / "checkpoint")
        prepared = heard(audio[0].numpy(), sampling_rate=16000, return_tensors="pt")["input_values"]
        expected = model.generate(prepared, max_length=12)[0].tolist()
        assert list(loaded.generate(audio[0].numpy(), max_length=12)) == expected


def checkpoint(name: str, folder: Path) -> None:
    """Write an encoder-decoder with transformers, whose tokens depend on the audio."""
    family, options = FAMILIES[name]
    encoder = transformers.Wav2Vec2Config(**{**TINY, "feat_extract_norm": "layer"}, attn_implementation="eager")
    decoder = getattr(transformers, f"{family}Config")(**options, attn_implementation="eager")
    pad = options["pad_token_id"]
    ids = {"pad_token_id": pad, "eos_token_id": 2, "decoder_start_token_id": pad if family == "Marian" else 0}
    both = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder, **ids)
    torch.manual_seed(5)
    model = transformers.SpeechEncoderDecoderModel(config=both).eval()
    kept = {key: value.clone() for key, value in model.state_dict().items() if "decoder.embed_positions" in key}
    enliven(model)
    if family == "Marian":
        model.load_state_dict(kept, strict=False)
    model.save_pretrained(folder)
    write_processor(folder, VOCABULARY, attention_mask=True)


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="positions begin behind pad_token_id None"):
        edgespeech.RobertaForCausalLM(edgespeech.RobertaConfig(**{**BERT, "pad_token_id": None}))
    with pytest.raises(ConfigError, match="hidden_act must be 'gelu'"):
        edgespeech.RobertaForCausalLM(edgespeech.RobertaConfig(**{**BERT, "hidden_act": "relu"}))
    options = FAMILIES["trocr"][1]
    with pytest.raises(ConfigError, match="layernorm_embedding false is not supported"):
        edgespeech.TrOCRForCausalLM(edgespeech.TrOCRConfig(**options, layernorm_embedding=False))


def test_marian_keeps_its_table_of_positions() -> None:
    """Position 3 of 8 channels by hand: sines of 3, 0.3, 0.03 and 0.003, then their cosines."""
    model = edgespeech.MarianForCausalLM(edgespeech.MarianConfig(**{**FAMILIES["marian"][1], "d_model": 8}))
    row = model.model.decoder.embed_positions.weight[3]
    angles = torch.tensor([3.0, 0.3, 0.03, 0.003])
    torch.testing.assert_close(row, torch.cat([angles.sin(), angles.cos()]), atol=1e-6, rtol=1e-6)
    assert not model.model.decoder.embed_positions.weight.requires_grad
