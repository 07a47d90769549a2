"""Pre-training against transformers: quantized features, losses and gradients, with equal noise; and negatives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from checkpoints import CLASSES, Family, make_checkpoint, make_model, waveforms
from gradients import same_gradients
from torch import Tensor
from torch.nn import functional as F
from transformers.models.wav2vec2.modeling_wav2vec2 import _sample_negative_indices

import edgespeech
from edgespeech import AutoModelForPreTraining
from edgespeech.errors import ConfigError, InputError, UnknownModelError, WeightsError
from edgespeech.models.heads.pretraining import sample_negatives

TOLERANCE = 1e-5  # relative to the scale of what is compared
BOOKS = {"num_codevectors_per_group": 12, "num_codevector_groups": 3, "codevector_dim": 18, "proj_codevector_dim": 14}
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
FAMILIES: tuple[Family, ...] = ("wav2vec2", "unispeech")
ALL: tuple[Family, ...] = (*FAMILIES, "unispeech-sat")  # the last one's pre-training gives features and states only
FORMS = {"base": {}, "large": {**LARGE, "diversity_loss_weight": 0.7, "contrastive_logits_temperature": 0.3}}
BOTH = pytest.mark.parametrize("family", FAMILIES)
EACH = pytest.mark.parametrize("family", ALL)
OPTIONS = pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
NAMES = ("loss", "projected_states", "projected_quantized_states", "codevector_perplexity")
PARTS = ("contrastive_loss", "diversity_loss")


def pair(folder: Path, family: Family, **options: Any) -> tuple[Any, Any]:
    """Make a model with transformers, save it, and load it with edgespeech: ours, theirs."""
    theirs = make_model(family, head="ForPreTraining", **{**BOOKS, **options})
    theirs.save_pretrained(folder)
    return AutoModelForPreTraining.from_pretrained(folder), theirs


def hidden_frames(frames: int) -> Tensor:
    """Frames to hide of two utterances, none of them beyond the fifteenth of the second."""
    hidden = torch.zeros(2, frames, dtype=torch.bool)
    hidden[0, 3:9] = hidden[0, 20:24] = hidden[1, 1:5] = hidden[1, 11:14] = True
    return hidden


def close(ours: Tensor, theirs: Tensor, what: str) -> None:
    """Compare within the tolerance."""
    assert ours.shape == theirs.shape, what
    scale = max(float(theirs.detach().abs().max()), 1e-3)
    assert float((ours - theirs).detach().abs().max()) <= TOLERANCE * scale, what


def equal_noise(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Draw the same noise whenever an entry is drawn; return the list that temperatures will be noted in."""
    draw, temperatures = F.gumbel_softmax, []

    def seeded(scores: Tensor, tau: float, hard: bool) -> Tensor:
        temperatures.append(tau)
        torch.manual_seed(5)
        return draw(scores, tau=tau, hard=hard)

    monkeypatch.setattr(F, "gumbel_softmax", seeded)
    return temperatures


@EACH
@OPTIONS
@torch.no_grad()
def test_outputs(tmp_path: Path, family: Family, options: dict[str, Any]) -> None:
    ours, theirs = pair(tmp_path, family, **options)
    audio, _ = waveforms(9000, 9000)
    hidden = hidden_frames(27)
    given: dict[str, Any] = {"mask_time_indices": hidden}
    if family == "wav2vec2":
        given["sampled_negative_indices"] = sample_negatives(hidden, 5)
    names = ("logits", "projected_states") if family == "unispeech-sat" else (*NAMES, *PARTS)
    see = {"output_hidden_states": True, "output_attentions": True}
    for inputs in ({}, given):
        result, expected = ours(audio, **inputs, **see), theirs(audio, **inputs, **see)
        assert list(result) == list(expected)
        for name in names:
            if name in expected:
                close(result[name], expected[name], name)
        for name in ("hidden_states", "attentions"):
            for index, (mine, reference) in enumerate(zip(result[name], expected[name], strict=True)):
                close(mine, reference, f"{name} {index}")


@BOTH
@OPTIONS
def test_training_with_equal_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: Family, options: dict[str, Any]
) -> None:
    ours, theirs = pair(tmp_path, family, **options)
    audio, _ = waveforms(9000, 9000)
    hidden = hidden_frames(27)
    given: dict[str, Any] = {"mask_time_indices": hidden}
    if family == "wav2vec2":
        given["sampled_negative_indices"] = sample_negatives(hidden, 7)
    temperatures = equal_noise(monkeypatch)
    losses = []
    for model in (ours.train(), theirs.train()):
        model(audio, **given)
        model.set_gumbel_temperature(0.7)
        result = model(audio, **given)
        # UniSpeech has no loss; any number that all outputs are in will do to compare gradients.
        others = result.projected_states.square().mean() + result.projected_quantized_states.square().mean()
        loss = result.loss if family == "wav2vec2" else others + result.codevector_perplexity
        loss.backward()
        losses.append(loss)
    assert temperatures == [2, 0.7] * 2
    close(losses[0], losses[1], "loss")
    same_gradients(ours, theirs)


@torch.no_grad()
def test_a_distractor_like_the_answer_is_left_out(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, "wav2vec2", num_codevectors_per_group=2, num_codevector_groups=1)
    audio, _ = waveforms(9000, 9000)
    hidden = hidden_frames(27)
    given = {"mask_time_indices": hidden, "sampled_negative_indices": sample_negatives(hidden, 9)}
    close(ours(audio, **given).contrastive_loss, theirs(audio, **given).contrastive_loss, "two entries")


@BOTH
@pytest.mark.parametrize("options", [{}, LARGE], ids=["group", "layer"])
@torch.no_grad()
def test_each_utterance_of_a_padded_batch_gets_what_it_gets_alone(
    tmp_path: Path, family: Family, options: dict[str, Any]
) -> None:
    ours, theirs = pair(tmp_path, family, **options)
    audio, mask = waveforms(5200, 12000, 400)
    result = ours(audio, mask)
    used = torch.zeros(3, 12)
    frames = []
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = theirs(audio[row : row + 1, :length])
        for name in NAMES[1:3]:
            close(result[name][row, : alone[name].shape[1]], alone[name][0], f"{name} {row}")
        features = theirs.base_model(audio[row : row + 1, :length]).extract_features
        chosen = theirs.quantizer.weight_proj(features).view(-1, 3, 12).argmax(-1)
        used += F.one_hot(chosen, 12).sum(0)
        frames.append(len(chosen))
    shares = used / sum(frames)
    close(result.codevector_perplexity, (-torch.xlogy(shares, shares).sum(-1)).exp().sum(), "perplexity")


def test_the_loss_under_padding_is_that_of_the_utterances(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, "wav2vec2")
    lengths = (9000, 5000)
    audio, mask = waveforms(*lengths)
    hidden = hidden_frames(27)
    negatives = sample_negatives(hidden, 6)
    found = ours(audio, mask, hidden, negatives).contrastive_loss
    expected = 0.0
    for row, (length, frames) in enumerate(zip(lengths, (27, 15), strict=True)):
        own = (negatives[row : row + 1, :frames] - 27 * row).clamp_min(0)
        alone = theirs(
            audio[row : row + 1, :length],
            mask_time_indices=hidden[row : row + 1, :frames],
            sampled_negative_indices=own,
        )
        expected = expected + alone.contrastive_loss
    close(found, expected, "contrastive loss")


@EACH
def test_transformers_reads_what_is_written_here(tmp_path: Path, family: Family) -> None:
    ours = make_model(family, weights="edgespeech", head="ForPreTraining", **BOOKS)
    ours.save_pretrained(tmp_path)
    kind = getattr(transformers, CLASSES[family] + "ForPreTraining")
    theirs, report = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    audio, _ = waveforms(6000)
    with torch.no_grad():
        result, expected = ours(audio), theirs.eval()(audio)
    name = "projected_states" if family == "unispeech-sat" else "projected_quantized_states"
    close(result[name], expected[name], name)
    again = AutoModelForPreTraining.from_pretrained(tmp_path)
    assert type(again) is type(ours)
    assert all(torch.equal(tensor, ours.state_dict()[name]) for name, tensor in again.state_dict().items())


@EACH
def test_fresh_heads_are_drawn_alike(family: Family) -> None:
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16}
    states = []
    for library in (edgespeech, transformers):
        torch.manual_seed(0)
        config = getattr(library, CLASSES[family] + "Config")(**sizes)
        states.append(getattr(library, CLASSES[family] + "ForPreTraining")(config).state_dict())
    ours, theirs = states
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if not name.startswith(family.replace("-", "_")):
            torch.testing.assert_close(tensor.std(), theirs[name].std(), rtol=0.15, atol=1e-6)
            assert abs(tensor.mean() - theirs[name].mean()) < 0.05, name


def test_an_encoder_out_of_a_pre_training_checkpoint(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "own", head="ForPreTraining", **BOOKS)
    whole = AutoModelForPreTraining.from_pretrained(folder).wav2vec2.state_dict()
    encoder = edgespeech.Wav2Vec2Model.from_pretrained(folder).state_dict()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in encoder.items())
    with pytest.raises(WeightsError, match=r"weights missing in .*: lm_head\.bias, lm_head\.weight;"):
        edgespeech.AutoModelForCTC.from_pretrained(folder, require_all_weights=True)
    with pytest.raises(UnknownModelError, match="models for pre-training are known for: unispeech, unispeech-sat, w"):
        AutoModelForPreTraining.from_pretrained(make_checkpoint(tmp_path / "hubert", "hubert"))


def test_negatives_are_drawn_like_those_of_transformers() -> None:
    hidden = torch.zeros(3, 10, dtype=torch.bool)
    hidden[0, [1, 2, 7]] = hidden[2, 4:9] = True
    torch.manual_seed(0)
    np.random.seed(0)
    counts = []
    for drawn in (
        sample_negatives(hidden, 4000),
        torch.from_numpy(_sample_negative_indices((3, 10), 4000, np.where(hidden.any(1)[:, None], hidden, True))),
    ):
        counts.append(F.one_hot(drawn[hidden].long(), 30).float().mean(1))
    assert torch.equal(counts[0] > 0, counts[1] > 0), "only other hidden frames of the same utterance"
    assert float((counts[0] - counts[1]).abs().max()) < 0.04
    torch.manual_seed(3)
    first = sample_negatives(hidden, 5)
    torch.manual_seed(3)
    assert torch.equal(sample_negatives(hidden.long(), 5), first)
    assert not first[~hidden].any()


def test_a_single_hidden_frame_has_no_negative() -> None:
    with pytest.raises(InputError, match="row 1 hides one frame, which leaves no other as a negative"):
        sample_negatives(torch.tensor([[True, True], [True, False]]), 3)


HIDDEN = hidden_frames(27)


@pytest.mark.parametrize(
    ("hidden", "negatives", "message"),
    [
        (None, sample_negatives(HIDDEN, 2), "sampled_negative_indices need mask_time_indices"),
        (HIDDEN, HIDDEN, r"whole numbers \(2, 27, negatives\), got torch.bool of shape \[2, 27\]"),
        (HIDDEN, torch.zeros(2, 27, 3), r"whole numbers \(2, 27, negatives\), got torch.float32"),
        (HIDDEN, torch.full((2, 27, 3), 54), "at least 0 and below the 54 frames of the batch, got 54 to 54"),
        (HIDDEN, torch.full((2, 27, 3), -1), "at least 0 and below the 54 frames of the batch, got -1 to -1"),
        (HIDDEN[:, 1:], None, r"mask_time_indices must be \[2, 27\], got \[2, 26\]"),
    ],
)
@pytest.mark.parametrize("augmented", [True, False])
def test_wrong_inputs(hidden: Any, negatives: Any, message: str, augmented: bool) -> None:
    model = make_model(weights="edgespeech", head="ForPreTraining", **BOOKS, apply_spec_augment=augmented)
    with pytest.raises(InputError, match=message):
        model(waveforms(9000, 9000)[0], None, hidden, negatives)


@BOTH
def test_configurations_that_are_refused(family: Family) -> None:
    with pytest.raises(ConfigError, match="codevector_dim 17 must be a multiple of num_codevector_groups 3"):
        make_model(family, weights="edgespeech", head="ForPreTraining", **{**BOOKS, "codevector_dim": 17})
    if family == "wav2vec2":
        with pytest.raises(ConfigError, match="Wav2Vec2ForPreTraining has no add_adapter; leave it at False"):
            make_model(family, weights="edgespeech", head="ForPreTraining", **BOOKS, add_adapter=True)
