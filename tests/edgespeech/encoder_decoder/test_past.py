"""`forward` of encoder-decoders, step by step and with embeddings, against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import waveforms
from encoder_decoders import make_encoder_decoder, make_model

from edgespeech import SpeechEncoderDecoderModel
from edgespeech.errors import ConfigError, InputError

FAMILIES = ("bert", "gpt2", "bart", "mbart")
TOKENS = torch.randint(3, 50, (2, 6), generator=torch.Generator().manual_seed(1))
SEEN = (torch.arange(6) >= torch.tensor([0, 2])[:, None]).long()  # the second row is padded on the left
AUDIO, MASK = waveforms(1500, 900)


def pair(folder: Path, family: Any) -> tuple[Any, Any]:
    make_encoder_decoder(folder, family)
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager")
    return SpeechEncoderDecoderModel.from_pretrained(folder), theirs.eval()


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_steps_with_what_was_kept(tmp_path: Path, family: str) -> None:
    ours, theirs = pair(tmp_path, family)
    whole = ours(AUDIO, None, TOKENS, SEEN)
    for model in (ours, theirs):
        first = model(AUDIO, None, TOKENS[:, :3], SEEN[:, :3], use_cache=True)
        states = (first.encoder_last_hidden_state,) if ours.enc_to_dec_proj is None else None
        past, rows = first.past_key_values, [first.logits]
        for end in (5, 6):
            encoded = {"encoder_outputs": states} if states else {"inputs": AUDIO}
            step = model(
                **encoded,
                decoder_input_ids=TOKENS[:, past.get_seq_length() : end],
                decoder_attention_mask=SEEN[:, :end],
                past_key_values=past,
            )
            past = step.past_key_values
            rows.append(step.logits)
        assert past.get_seq_length() == 6
        real = SEEN.bool()
        torch.testing.assert_close(torch.cat(rows, 1)[real], whole.logits[real], rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_documented_order_and_outputs(tmp_path: Path, family: str) -> None:
    """inputs, attention_mask, decoder_input_ids, decoder_attention_mask, encoder_outputs, past_key_values, ..."""
    ours, theirs = pair(tmp_path, family)
    given = (AUDIO, None, TOKENS, SEEN, None, None, None, TOKENS, True, True, True)
    result, expected = ours(*given), theirs(*given)
    assert list(result) == list(expected)
    torch.testing.assert_close(result.loss, expected.loss)
    assert len(ours(*given, None, None, False)) == len(result)
    assert list(ours(AUDIO, None, TOKENS)) == list(theirs(AUDIO, None, TOKENS))
    assert "past_key_values" not in ours(AUDIO, None, TOKENS, use_cache=False)
    ours.config.decoder.use_cache = False
    assert "past_key_values" not in ours(AUDIO, None, TOKENS)
    ours.config.return_dict = False
    assert type(ours(AUDIO, None, TOKENS)) is tuple
    ours.config.encoder.output_hidden_states = ours.config.decoder.output_attentions = True
    shown = ours(AUDIO, None, TOKENS, return_dict=True)
    assert list(shown) == [
        *("logits", "decoder_attentions", "cross_attentions", "encoder_last_hidden_state", "encoder_hidden_states")
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_in_place_of_tokens(tmp_path: Path, family: str) -> None:
    ours, theirs = pair(tmp_path, family)
    embedded = torch.randn(2, 6, ours.decoder.hidden_size, generator=torch.Generator().manual_seed(2))
    given = {"decoder_inputs_embeds": embedded, "decoder_attention_mask": SEEN, "labels": TOKENS}
    result, expected = ours(AUDIO, **given), theirs(AUDIO, **given)
    real = SEEN.bool()
    torch.testing.assert_close(result.logits[real], expected.logits[real], rtol=0, atol=1e-4)
    torch.testing.assert_close(result.loss, expected.loss, rtol=0, atol=1e-4)


@torch.no_grad()
def test_rows_in_another_order_and_plain_tuples(tmp_path: Path) -> None:
    ours, _ = pair(tmp_path, "bart")
    past = ours(AUDIO, None, TOKENS[:, :4]).past_key_values
    rows = torch.tensor([1, 0])
    turned = ours(AUDIO.flip(0), None, TOKENS[rows, 4:], past_key_values=past.reordered(rows)).logits
    straight = ours(AUDIO, None, TOKENS[:, 4:], past_key_values=tuple(past)).logits
    torch.testing.assert_close(turned.flip(0), straight)
    assert len(past) == ours.decoder.geometry.layers
    assert [len(layer) for layer in past.to_legacy_cache()] == [4] * len(past)


def test_refusals() -> None:
    model = make_model("bart", weights="edgespeech", decoder={"decoder_layerdrop": 0.5})
    embedded = torch.randn(2, 3, model.decoder.hidden_size)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"decoder_inputs_embeds": embedded}, "give decoder_input_ids or decoder_inputs_embeds, not both"),
        (
            {"past_key_values": transformers.DynamicCache()},
            "past_key_values must be what forward returned.*DynamicCache",
        ),
        ({"past_key_values": ((embedded, embedded),) * 9}, "past_key_values must have the decoder's . layers, got 9"),
        ({"input_features": AUDIO}, "input_features are for encoders of spectrograms"),
        ({"decoder_attention_mask": SEEN[:, :2]}, r"attention_mask must have the shape of input_ids \[2, 6\]"),
    ]
    for given, message in wrong:
        with pytest.raises(InputError, match=message) as caught:
            model(AUDIO, None, TOKENS, **{"decoder_attention_mask": None, **given})
        assert "\n" not in str(caught.value)
    past = model(AUDIO, None, TOKENS).past_key_values
    with pytest.raises(InputError, match=r"of input_ids and the 6 before \[2, 12\], got \[2, 6\]"):
        model(AUDIO, None, TOKENS, SEEN, past_key_values=past)
    with pytest.raises(InputError, match="have 42 tokens, the position table of the model has 40"):
        model(AUDIO, None, TOKENS.repeat(1, 6), past_key_values=past)
    with pytest.raises(InputError, match=r"inputs_embeds must be \(batch, length, "):
        model(AUDIO, decoder_inputs_embeds=embedded[:, 0])
    with pytest.raises(ConfigError, match="layers that are dropped leave nothing to keep"):
        model.train()(AUDIO, None, TOKENS, use_cache=True)
