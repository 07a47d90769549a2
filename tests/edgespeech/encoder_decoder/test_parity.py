"""Logits, loss, gradients and weights of whole encoder-decoders, against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import THEIR_MASKS, waveforms
from decoders import REFERENCED, Family
from encoder_decoders import LAYER_NORM, make_encoder_decoder

from edgespeech import SpeechEncoderDecoderModel

pytestmark = THEIR_MASKS

LABELS = torch.tensor([[5, 6, 6, 7, 2, -100, -100], [9, 8, 31, 8, 9, 30, 2], [12, 2, -100, -100, -100, -100, -100]])
LENGTHS = (3000, 1500, 700)

# Options of the halves and of what stands between them, beyond those that each half is tested on alone.
CASES: dict[str, tuple[Family, str, dict[str, Any]]] = {
    **{family: (family, "wav2vec2", {"encoder": LAYER_NORM}) for family in REFERENCED},
    "hubert and BERT": ("bert", "hubert", {"encoder": LAYER_NORM}),
    "WavLM and BERT": ("bert", "wavlm", {"encoder": {**LAYER_NORM, "num_buckets": 16, "max_bucket_distance": 30}}),
    "UniSpeech-SAT and GPT-2": ("gpt2", "unispeech-sat", {"encoder": LAYER_NORM}),
    "unispeech and mBART": ("mbart", "unispeech", {"encoder": LAYER_NORM}),
    "projection": ("bart", "wav2vec2", {"encoder": {**LAYER_NORM, "hidden_size": 48}}),
    "projection, GPT-2": ("gpt2", "hubert", {"encoder": {**LAYER_NORM, "hidden_size": 16}}),
    "unused output size": ("bert", "wav2vec2", {"encoder": {**LAYER_NORM, "output_hidden_size": 24}}),
    "size of the states stated": (
        "bert",
        "wav2vec2",
        {"encoder": LAYER_NORM, "decoder": {"cross_attention_hidden_size": 32}},
    ),
    "untied": ("bart", "wav2vec2", {"encoder": LAYER_NORM, "decoder": {"tie_word_embeddings": False}}),
    "untied BERT": ("bert", "wav2vec2", {"encoder": LAYER_NORM, "decoder": {"tie_word_embeddings": False}}),
    "scaled": ("mbart", "wav2vec2", {"encoder": LAYER_NORM, "decoder": {"scale_embedding": True}}),
}
# Where transformers lets padding into the audio's end, batches without padding.
UNPADDED: dict[str, tuple[Family, str, dict[str, Any]]] = {
    "group norm": ("gpt2", "wav2vec2", {}),
    "data2vec and BART": ("bart", "data2vec-audio", {"encoder": {"conv_pos_kernel_size": 4, "add_adapter": True}}),
    "adapter": ("mbart", "wav2vec2", {"encoder": {**LAYER_NORM, "add_adapter": True}}),
    "adapter to another size": (
        "bart",
        "wav2vec2",
        {"encoder": {**LAYER_NORM, "hidden_size": 48, "output_hidden_size": 32, "add_adapter": True}},
    ),
    "adapter and projection": (
        "bert",
        "wav2vec2",
        {"encoder": {"hidden_size": 48, "add_adapter": True, "num_adapter_layers": 1}},
    ),
}
NAMED = {**CASES, **UNPADDED}


def pair(folder: Path, family: Family, encoder: str, options: dict[str, Any], seed: int = 0) -> tuple[Any, Any]:
    """Return our model and that of transformers with the same weights."""
    make_encoder_decoder(folder, family, encoder, seed=seed, **options)  # type: ignore[arg-type]
    theirs = transformers.SpeechEncoderDecoderModel.from_pretrained(folder, attn_implementation="eager")
    return SpeechEncoderDecoderModel.from_pretrained(folder), theirs.eval()


def inputs(name: str) -> dict[str, torch.Tensor]:
    audio, mask = waveforms(*(LENGTHS if name in CASES else (2500, 2500, 2500)))
    return {"input_values": audio, "attention_mask": mask} if name in CASES else {"input_values": audio}


@pytest.mark.parametrize("name", NAMED)
@torch.no_grad()
def test_logits_and_states(tmp_path: Path, name: str) -> None:
    ours, theirs = pair(tmp_path, *NAMED[name])
    assert (ours.enc_to_dec_proj is not None) == hasattr(theirs, "enc_to_dec_proj")
    tokens = torch.randint(0, 50, (3, 9), generator=torch.Generator().manual_seed(1))
    seen = (torch.arange(9) < torch.tensor([9, 4, 7])[:, None]).long()
    more = {"decoder_input_ids": tokens, "output_hidden_states": True, "output_attentions": True}
    for mask in ({}, {"decoder_attention_mask": seen}):
        result, expected = ours(**inputs(name), **more, **mask), theirs(**inputs(name), **more, **mask)
        real = seen.bool() if mask else torch.ones_like(seen).bool()
        torch.testing.assert_close(result.logits[real], expected.logits[real], rtol=0, atol=1e-4)
    for field in ("decoder_hidden_states", "decoder_attentions", "cross_attentions", "encoder_hidden_states"):
        assert len(result[field]) == len(expected[field]), field
    assert result.loss is None
    for row, length in enumerate(inputs(name).get("attention_mask", torch.ones(3, 2500)).sum(1)):
        count = int(ours.encoder.frames(length.long()))
        torch.testing.assert_close(
            result.encoder_last_hidden_state[row, :count],
            expected.encoder_last_hidden_state[row, :count],
            rtol=0,
            atol=1e-4,
        )
        for mine, reference in zip(result.cross_attentions, expected.cross_attentions, strict=True):
            torch.testing.assert_close(mine[row][:, real[row]], reference[row][:, real[row]], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMED)
def test_loss_and_gradients(tmp_path: Path, name: str) -> None:
    ours, theirs = pair(tmp_path, *NAMED[name])
    losses = [model(**inputs(name), labels=LABELS).loss for model in (ours, theirs)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-5)
    for loss in losses:
        loss.backward()
    expected = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        reference = expected.pop(key).grad
        if reference is None:
            assert parameter.grad is None or not parameter.grad.any(), key
            continue
        assert parameter.grad.shape == reference.shape, key
        scale = float(reference.abs().max())
        assert float((parameter.grad - reference).abs().max()) <= 1e-4 * scale + 1e-6, key
    assert not expected
    assert ours.encoder.feature_projection.projection.weight.grad.any()
    assert ours.decoder.get_input_embeddings().weight.grad.any()


@pytest.mark.parametrize("name", ["bart", "gpt2"])
def test_labels_without_some_and_of_one_token(tmp_path: Path, name: str) -> None:
    """The loss is the mean over the labels that are there, wherever they stand; without any it is NaN."""
    ours, theirs = pair(tmp_path, *NAMED[name])
    for labels in (LABELS[:, :1], LABELS.roll(3, 1), torch.full_like(LABELS, -100)):
        mine, reference = (model(**inputs(name), labels=labels) for model in (ours, theirs))
        torch.testing.assert_close(mine.loss, reference.loss, rtol=1e-5, atol=1e-5, equal_nan=True)
        assert mine[0] is mine.loss
        assert mine["logits"] is mine[1]


@torch.no_grad()
def test_tokens_of_the_caller_beside_labels(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, *NAMED["bert"])
    tokens = torch.randint(0, 50, LABELS.shape, generator=torch.Generator().manual_seed(2))
    given = {**inputs("bert"), "decoder_input_ids": tokens, "labels": LABELS}
    torch.testing.assert_close(ours(**given).loss, theirs(**given).loss)
    shifted = ours.prepare_decoder_input_ids_from_labels(LABELS)
    assert torch.equal(shifted, theirs.prepare_decoder_input_ids_from_labels(LABELS))
    given = inputs("bert")
    assert torch.equal(ours(**given, decoder_input_ids=shifted).logits, ours(**given, labels=LABELS).logits)


@pytest.mark.parametrize("name", ["bart", "projection, GPT-2", "adapter and projection"])
@torch.no_grad()
def test_outputs_of_the_encoder_in_place_of_audio(tmp_path: Path, name: str) -> None:
    ours, _ = pair(tmp_path, *NAMED[name])
    given = inputs(name)
    expected = ours(**given, labels=LABELS)
    encoded = ours.get_encoder()(**given)
    mask = {"attention_mask": given["attention_mask"]} if name in CASES else {}
    for outputs in (encoded, (encoded.last_hidden_state,)):
        torch.testing.assert_close(ours(encoder_outputs=outputs, labels=LABELS, **mask).logits, expected.logits)
    assert torch.equal(ours(inputs=given["input_values"], labels=LABELS, **mask).logits, expected.logits)


@pytest.mark.parametrize("name", ["bert", "group norm", "adapter", "adapter and projection", "hubert and BERT"])
@torch.no_grad()
def test_each_utterance_of_a_padded_batch_gets_what_it_gets_alone(tmp_path: Path, name: str) -> None:
    ours, _ = pair(tmp_path, *NAMED[name])
    audio, mask = waveforms(*LENGTHS)
    together = ours(audio, mask, labels=LABELS).logits
    for row, length in enumerate(LENGTHS):
        alone = ours(audio[row : row + 1, :length], labels=LABELS[row : row + 1]).logits
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-4)
        states, frames = ours.encode(audio[row : row + 1, :length])
        assert frames is None
        assert states.shape[1] == int(ours.encode(audio, mask.sum(1))[1][row])


@pytest.mark.parametrize("name", NAMED)
@torch.no_grad()
def test_weights_written_by_us(tmp_path: Path, name: str) -> None:
    family, encoder, options = NAMED[name]
    ours, theirs = pair(tmp_path / "first", family, encoder, options)
    ours.save_pretrained(tmp_path / "second")
    again, report = transformers.SpeechEncoderDecoderModel.from_pretrained(
        tmp_path / "second", attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    mine, reference = dict(ours.named_parameters()), dict(theirs.named_parameters())
    assert mine.keys() == reference.keys()
    assert all(torch.equal(mine[key], tensor) for key, tensor in reference.items())
    given = {**inputs(name), "labels": LABELS}
    torch.testing.assert_close(again(**given).logits, ours(**given).logits, rtol=0, atol=1e-4)
    for key, value in ours.generation_config.to_dict().items():
        if key != "transformers_version":
            assert getattr(again.generation_config, key) == value, key
