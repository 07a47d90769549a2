"""Weights that published checkpoints hold beside a model's own: known names are left out, all others are errors."""

from pathlib import Path

import pytest
import torch
from checkpoints import make_checkpoint, waveforms
from decoders import make_decoder_checkpoint
from encoder_decoders import make_encoder_decoder
from published import add_weights, drop_weights, make_twin

import edgespeech
from edgespeech.errors import WeightsError

AUDIO = waveforms(6000)[0]
PRE_TRAINING = {
    "quantizer.codevectors": (1, 20, 8),
    "quantizer.weight_proj.weight": (20, 24),
    "quantizer.weight_proj.bias": (20,),
    "project_q.weight": (12, 16),
    "project_q.bias": (12,),
    "project_hid.weight": (12, 32),
    "project_hid.bias": (12,),
}


@pytest.mark.parametrize(
    "extra",
    [
        {"wav2vec2.mask_time_emb_vector": (32,)},
        {"wav2vec2.encoder.position_ids": (1, 40)},
        {"wav2vec2.encoder.layers.0.attn.bias": (1, 1, 4, 4)},
        PRE_TRAINING,
        {f"wav2vec2.{name}": shape for name, shape in PRE_TRAINING.items()},
    ],
    ids=["mask_time_emb_vector", "position_ids", "attn.bias", "pre-training", "pre-training-under-prefix"],
)
@pytest.mark.parametrize("kind", ["Wav2Vec2ForCTC", "Wav2Vec2Model"])
def test_known_leftovers_change_nothing(tmp_path: Path, extra: dict[str, tuple[int, ...]], kind: str) -> None:
    folder = make_twin(tmp_path, "facebook/wav2vec2-base-100h")
    expected = getattr(edgespeech, kind).from_pretrained(folder).state_dict()
    add_weights(folder, extra)
    for name, tensor in getattr(edgespeech, kind).from_pretrained(folder).state_dict().items():
        assert torch.equal(tensor, expected[name])


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("probability", [0.0, 0.05])
def test_the_vector_that_hides_frames_may_be_there_or_not(tmp_path: Path, is_there: bool, probability: float) -> None:
    folder = make_twin(tmp_path, "facebook/wav2vec2-base-100h", mask_time_prob=probability)
    expected = edgespeech.Wav2Vec2ForCTC.from_pretrained(folder)(AUDIO).logits
    vector = "wav2vec2.masked_spec_embed"
    if is_there:
        add_weights(folder, {vector: (32,)})
    else:
        drop_weights(folder, vector)
    assert torch.equal(edgespeech.Wav2Vec2ForCTC.from_pretrained(folder)(AUDIO).logits, expected)


def test_pre_training_keeps_its_own_parts(tmp_path: Path) -> None:
    folder = make_twin(tmp_path, "facebook/wav2vec2-large-xlsr-53")
    before = edgespeech.Wav2Vec2ForPreTraining.from_pretrained(folder)
    drop_weights(folder, "project_q.weight")
    with pytest.raises(WeightsError, match=r"missing.*project_q\.weight"):
        edgespeech.Wav2Vec2ForPreTraining.from_pretrained(folder)
    assert before.project_q.weight.abs().sum() > 0


def test_an_x_vector_without_vectors_of_speakers(tmp_path: Path) -> None:
    folder = make_twin(tmp_path, "superb/wav2vec2-base-superb-sv")
    expected = edgespeech.Wav2Vec2ForXVector.from_pretrained(folder)(AUDIO)
    drop_weights(folder, "objective.weight")
    model = edgespeech.Wav2Vec2ForXVector.from_pretrained(folder)
    assert torch.equal(model(AUDIO).embeddings, expected.embeddings)
    assert model.objective.weight.isfinite().all()
    assert model.objective.weight.std() > 0


def test_leftovers_in_both_halves_of_an_encoder_decoder(tmp_path: Path) -> None:
    folder = make_encoder_decoder(tmp_path, "gpt2")
    expected = edgespeech.SpeechEncoderDecoderModel.from_pretrained(folder).state_dict()
    extra = {f"encoder.{name}": shape for name, shape in PRE_TRAINING.items()}
    add_weights(
        folder, {**extra, "encoder.mask_time_emb_vector": (32,), "decoder.transformer.h.0.attn.bias": (1, 1, 4, 4)}
    )
    found = edgespeech.SpeechEncoderDecoderModel.from_pretrained(folder).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_leftovers_of_a_text_decoder(tmp_path: Path) -> None:
    folder = make_decoder_checkpoint(tmp_path, "bert")
    expected = edgespeech.BertLMHeadModel.from_pretrained(folder).state_dict()
    add_weights(folder, {"bert.embeddings.position_ids": (1, 40)})
    found = edgespeech.BertLMHeadModel.from_pretrained(folder).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    "name", ["wav2vec2.mask_time_vector", "project.weight", "wav2vec2.encoder.quantizer.weight", "lm_head.scale"]
)
def test_unknown_names_stay_errors(tmp_path: Path, name: str) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    add_weights(folder, {name: (3,)})
    with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
        edgespeech.Wav2Vec2ForCTC.from_pretrained(folder)
