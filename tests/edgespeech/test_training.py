"""Loss, gradients, SpecAugment and layer drop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import CLASSES, FAMILIES, THEIR_MASKS, Family, make_checkpoint, make_model, waveforms
from gradients import same_gradients
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

import edgespeech
from edgespeech.encoder.spec_augment import spans
from edgespeech.errors import ConfigError, InputError

LABELS = torch.tensor([[5, 6, 6, 7, -100, -100], [9, 8, 31, 8, 9, 30], [12, -100, -100, -100, -100, -100]])
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}


def pair(folder: Path, family: Family, **options: Any) -> tuple[Any, Any]:
    """Return our model and that of transformers with the same weights, in training mode and without chance."""
    theirs = make_model(family, apply_spec_augment=False, **options)
    theirs.save_pretrained(folder)
    ours = getattr(edgespeech, CLASSES[family] + "ForCTC").from_pretrained(folder)
    return ours.train(), theirs.train()


@THEIR_MASKS
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients(tmp_path: Path, family: Family, reduction: str, zero_infinity: bool) -> None:
    options = {"ctc_loss_reduction": reduction, "ctc_zero_infinity": zero_infinity}
    ours, theirs = pair(tmp_path, family, **LARGE, **options)
    # The padding of a batch reaches data2vec's frames in the reference library, from the second positional one on.
    lengths = (8000, 8000, 8000) if family == "data2vec-audio" else (6000, 8000, 3000)
    audio, mask = waveforms(*lengths)
    losses = [model(audio, attention_mask=mask, labels=LABELS).loss for model in (ours, theirs)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-4)
    for loss in losses:
        loss.sum().backward()
    same_gradients(ours, theirs, least=1e-5)


@pytest.mark.parametrize("options", [{}, LARGE, {"add_adapter": True}], ids=["base", "large", "adapter"])
def test_loss_without_a_mask(tmp_path: Path, options: dict[str, Any]) -> None:
    ours, theirs = pair(tmp_path, "wav2vec2", **options)
    audio, _ = waveforms(12000, 12000, 12000)
    labels = LABELS[:, :2]
    torch.testing.assert_close(ours(audio, labels=labels).loss, theirs(audio, labels=labels).loss)


def test_labels_may_be_padded_with_the_blank(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, "hubert")
    audio, _ = waveforms(8000, 8000, 8000)
    padded = LABELS.masked_fill(LABELS < 0, 0)
    expected = ours(audio, labels=LABELS).loss
    assert torch.equal(ours(audio, labels=padded).loss, expected)
    torch.testing.assert_close(theirs(audio, labels=padded).loss, expected)


@pytest.mark.parametrize(("zero_infinity", "expected"), [(False, float("inf")), (True, 0.0)])
def test_more_labels_than_frames(tmp_path: Path, zero_infinity: bool, expected: float) -> None:
    ours, theirs = pair(tmp_path, "unispeech", ctc_zero_infinity=zero_infinity)
    audio, _ = waveforms(800)
    labels = torch.arange(1, 9)[None]
    assert ours(audio, labels=labels).loss == theirs(audio, labels=labels).loss == expected


def test_no_labels_at_all(tmp_path: Path) -> None:
    ours, _ = pair(tmp_path, "hubert", ctc_loss_reduction="none")
    loss = ours(waveforms(800)[0], labels=torch.empty(1, 0, dtype=torch.long)).loss
    assert loss.shape == (1,)
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([[32]]), "labels must be below vocab_size 32, got 32"),
        (torch.tensor([5]), "labels must be whole numbers"),
        (torch.tensor([[5.0]]), "labels must be whole numbers"),
        (torch.tensor([[5], [6]]), "labels must be whole numbers"),
    ],
)
def test_wrong_labels(tmp_path: Path, labels: torch.Tensor, message: str) -> None:
    ours, _ = pair(tmp_path, "wav2vec2")
    with pytest.raises(InputError, match=message):
        ours(waveforms(800)[0], labels=labels)


@pytest.mark.parametrize("blank", [None, 32, -1])
def test_a_loss_needs_a_blank(tmp_path: Path, blank: int | None) -> None:
    model = edgespeech.Wav2Vec2ForCTC.from_pretrained(make_checkpoint(tmp_path), pad_token_id=blank)
    with pytest.raises(ConfigError, match="pad_token_id"):
        model(waveforms(800)[0], labels=torch.tensor([[1]]))


@pytest.mark.parametrize(
    ("lengths", "width", "probability", "span", "at_least"),
    [
        ([200] * 4, 200, 0.05, 10, 2),
        ([200, 150, 90, 30], 200, 0.3, 10, 0),
        ([64] * 4, 64, 0.5, 4, 1),
        ([15] * 4, 15, 0.05, 10, 2),
        ([49, 20, 9, 1], 49, 0.2, 10, 2),
        ([32] * 4, 32, 1.0, 8, 0),
    ],
)
def test_spans_hide_as_much_as_those_of_transformers(
    lengths: list[int], width: int, probability: float, span: int, at_least: int
) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    mask = torch.arange(width) < torch.tensor(lengths)[:, None]
    ours = np.mean([spans(lengths, width, probability, span, at_least).numpy() for _ in range(600)], axis=0)
    theirs = np.mean(
        [_compute_mask_indices((4, width), probability, span, mask, min_masks=at_least) for _ in range(600)], axis=0
    )
    for row, length in enumerate(lengths):
        assert ours[row, length:].max(initial=0.0) == 0, "padding is never hidden"
        assert abs(ours[row, :length].mean() - theirs[row, :length].mean()) < 0.03


def test_spans_have_their_length() -> None:
    torch.manual_seed(1)
    hidden = spans([1000] * 8, 1000, 0.02, 7, 1)
    for row in hidden.int():
        edges = torch.cat([torch.zeros(1), row, torch.zeros(1)]).diff()
        runs = (edges == -1).nonzero() - (edges == 1).nonzero()
        assert int(runs.min()) >= 7


@pytest.mark.parametrize("span", [0, 11])
def test_spans_that_do_not_fit(span: int) -> None:
    with pytest.raises(ConfigError, match=f"between 1 and the 10 positions of the input, got {span}"):
        spans([10], 10, 0.5, span, 0)


@pytest.mark.parametrize("options", [{"mask_time_prob": 0.5}, {"mask_time_prob": 0.0, "mask_feature_prob": 0.5}])
def test_spec_augment_is_for_training(tmp_path: Path, options: dict[str, Any]) -> None:
    folder = make_checkpoint(tmp_path, "wav2vec2", mask_time_length=4, mask_feature_length=4, **options)
    model = edgespeech.Wav2Vec2Model.from_pretrained(folder)
    plain = edgespeech.Wav2Vec2Model.from_pretrained(folder, apply_spec_augment=False).train()
    audio, _ = waveforms(8000)
    clean = model(audio).last_hidden_state
    assert torch.equal(plain(audio).last_hidden_state, clean)
    model.train()
    assert not torch.equal(model(audio).last_hidden_state, clean)


def test_hidden_frames_are_replaced_by_the_masking_vector(tmp_path: Path) -> None:
    _, theirs = pair(tmp_path, "wav2vec2")
    hide = torch.zeros(1, 24, dtype=torch.bool)
    hide[0, 3:9] = True
    audio, _ = waveforms(8000)
    encoder = edgespeech.Wav2Vec2Model.from_pretrained(tmp_path, apply_spec_augment=True)
    reference = theirs.wav2vec2.eval()
    reference.config.apply_spec_augment = True
    with torch.no_grad():
        result, expected = encoder(audio, mask_time_indices=hide), reference(audio, mask_time_indices=hide)
    torch.testing.assert_close(result.last_hidden_state, expected.last_hidden_state)
    with pytest.raises(InputError, match=r"mask_time_indices must be \[1, 24\], got \[1, 25\]"):
        encoder(audio, mask_time_indices=torch.zeros(1, 25))


@pytest.mark.parametrize("family", FAMILIES)
def test_training_repeats_under_a_seed(tmp_path: Path, family: Family) -> None:
    chance = {"hidden_dropout": 0.3, "attention_dropout": 0.3, "layerdrop": 0.5, "mask_feature_prob": 0.3}
    folder = make_checkpoint(tmp_path, family, **chance, mask_time_prob=0.4, num_hidden_layers=6)
    model = getattr(edgespeech, CLASSES[family] + "ForCTC").from_pretrained(folder).train()
    audio, mask = waveforms(8000, 5000)

    def run(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return model(audio, mask, labels=LABELS[:2, :3]).loss.detach()

    assert run(3) == run(3)
    assert len({float(run(seed)) for seed in range(5)}) == 5


def test_layer_drop(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "wav2vec2", layerdrop=1.0, apply_spec_augment=False, add_adapter=True)
    model = edgespeech.Wav2Vec2Model.from_pretrained(folder)
    audio, _ = waveforms(8000)
    assert len(model(audio, output_hidden_states=True).hidden_states) == 3
    model.train()
    dropped = model(audio, output_hidden_states=True)
    assert torch.equal(dropped.last_hidden_state, dropped.hidden_states[0]), "all layers are left out"


def test_freezing(tmp_path: Path) -> None:
    model = edgespeech.HubertForCTC.from_pretrained(make_checkpoint(tmp_path, "hubert"))
    model.freeze_feature_encoder()
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not any(name.startswith("hubert.feature_extractor.") for name in learning)
    assert "hubert.feature_projection.projection.weight" in learning
    model.freeze_base_model()
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == {
        "lm_head.weight",
        "lm_head.bias",
    }
