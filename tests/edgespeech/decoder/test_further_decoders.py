"""RoBERTa, XLM-R, TrOCR and Marian as decoders, against transformers: logits, the cache, and what they generate."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import enliven, waveforms
from decoders import encoder_states
from further_decoders import BERT, FAMILIES, VOCABULARY, make_further

import edgespeech
from edgespeech.errors import ConfigError


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


def tokens(batch: int, length: int, least: int = 5) -> torch.Tensor:
    """Ids, from 5 on none that is padding in any family."""
    return torch.randint(least, VOCABULARY - 1, (batch, length), generator=torch.Generator().manual_seed(3))


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


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_among_tokens(name: str, tmp_path: Path) -> None:
    """RoBERTa and XLM-R count no position for it, whether the sequence is read at once or token by token."""
    theirs, mine = make(name, tmp_path)
    states, _ = encoder_states(7, 7)
    ids = tokens(2, 8)
    pad = FAMILIES[name][1]["pad_token_id"]
    ids[0, 3], ids[1, 5:7] = pad, pad
    given = {"encoder_hidden_states": states, "attention_mask": torch.ones_like(ids)}
    with torch.no_grad():
        torch.testing.assert_close(mine(ids, **given).logits, theirs(ids, **given).logits, atol=1e-5, rtol=1e-5)
        past, theirs_past = None, None
        for step in range(ids.shape[1]):
            known = {"encoder_hidden_states": states, "attention_mask": torch.ones_like(ids[:, : step + 1])}
            found = mine(ids[:, step, None], past_key_values=past, use_cache=True, **known)
            expected = theirs(ids[:, step, None], past_key_values=theirs_past, use_cache=True, **known)
            past, theirs_past = found.past_key_values, expected.past_key_values
            torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "trocr", "marian"])
def test_an_encoder_decoder_generates_the_same(name: str, tmp_path: Path) -> None:
    make_further(tmp_path, name)
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    mine = edgespeech.SpeechEncoderDecoderModel.from_pretrained(tmp_path)
    audio, mask = waveforms(3000, 1700)
    for options in ({"num_beams": 1}, {"num_beams": 3, "num_return_sequences": 2}):
        options |= {"max_length": 14, "min_length": 4}
        expected = theirs.generate(audio, attention_mask=mask, **options)
        assert mine.generate(audio, attention_mask=mask, **options).tolist() == expected.tolist()


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
