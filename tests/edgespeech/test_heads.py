"""Classifiers and x-vectors against transformers: outputs, losses, gradients, weights both ways; and under padding."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from checkpoints import (
    CLASSES,
    FAMILIES,
    THEIR_MASKS,
    XVECTOR,
    Family,
    Head,
    make_checkpoint,
    make_model,
    waveforms,
)
from gradients import same_gradients
from torch import Tensor

import edgespeech
from edgespeech import AutoModelForAudioClassification, AutoModelForAudioFrameClassification, AutoModelForAudioXVector
from edgespeech.errors import ConfigError, InputError, UnknownModelError, WeightsError

TOLERANCE = 1e-5  # relative to the scale of what is compared
LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
WEIGHTED = {"use_weighted_layer_sum": True}
UTTERANCE: Head = "ForSequenceClassification"
FRAME: Head = "ForAudioFrameClassification"
XVEC: Head = "ForXVector"
AUTO = {
    UTTERANCE: AutoModelForAudioClassification,
    FRAME: AutoModelForAudioFrameClassification,
    XVEC: AutoModelForAudioXVector,
}
WITH_ALL: tuple[Family, ...] = ("wav2vec2", "unispeech-sat", "wavlm", "data2vec-audio")
OF_FAMILIES: list[tuple[Family, Head]] = [
    *((family, UTTERANCE) for family in FAMILIES),
    *((family, head) for family in WITH_ALL for head in (FRAME, XVEC)),
]
FORMS: dict[str, dict[str, Any]] = {
    "base": {},
    "base, weighted": {**WEIGHTED, "num_labels": 1},
    "large, weighted": {**LARGE, **WEIGHTED, "num_hidden_layers": 3, "num_labels": 7, "adapter_attn_dim": 6},
}
CASES = [
    *(pytest.param(*kind, form, id=f"{''.join(kind)}: {name}") for kind in OF_FAMILIES for name, form in FORMS.items()),
    pytest.param("hubert", UTTERANCE, {"conv_pos_batch_norm": True, "classifier_proj_size": 9}, id="batch norm"),
    pytest.param("wav2vec2", XVEC, {"add_adapter": True, "num_adapter_layers": 1}, id="adapter"),
    pytest.param("wavlm", XVEC, {"num_buckets": 8, "max_bucket_distance": 5, **LARGE, **WEIGHTED}, id="distances"),
    pytest.param("wav2vec2", XVEC, {"add_adapter": True, "output_hidden_size": 20, **WEIGHTED}, id="unused adapter"),
    pytest.param("wav2vec2", XVEC, {"tdnn_dim": [6], "tdnn_kernel": [1], "tdnn_dilation": [1]}, id="one convolution"),
]


def pair(folder: Path, family: Family, head: Head, **options: Any) -> tuple[Any, Any]:
    """Make a model with transformers, save it, and load it with edgespeech: ours, theirs; in training, no chance."""
    options = {**(XVECTOR if head == XVEC else {}), "num_labels": 4, "apply_spec_augment": False, **options}
    theirs = make_model(family, head=head, **options)
    theirs.save_pretrained(folder)
    return AUTO[head].from_pretrained(folder).train(), theirs.train()


def targets(model: Any, head: Head, logits: Tensor) -> Tensor:
    """Labels for two utterances."""
    count = model.config.num_labels
    if head == FRAME:
        return torch.eye(count)[torch.arange(logits.shape[0] * logits.shape[1]) % count].view_as(logits)
    return torch.tensor([count - 1, 0])


def close(ours: Tensor, theirs: Tensor, what: str, tolerance: float = TOLERANCE) -> None:
    """Compare within a tolerance relative to the scale."""
    assert ours.shape == theirs.shape, what
    scale = max(float(theirs.detach().abs().max()), 1e-3)
    assert float((ours - theirs).detach().abs().max()) <= tolerance * scale, what


@pytest.mark.parametrize(("family", "head", "options"), CASES)
def test_outputs_losses_and_gradients(tmp_path: Path, family: Family, head: Head, options: dict[str, Any]) -> None:
    ours, theirs = pair(tmp_path, family, head, **options)
    audio, _ = waveforms(11000, 11000)
    see = {"output_hidden_states": True, "output_attentions": True}
    labels = targets(ours, head, theirs(audio).logits)
    result, expected = (model(audio, labels=labels, **see) for model in (ours, theirs))
    assert list(result) == list(expected)
    for name in ("logits", "embeddings", "loss"):
        if name in expected:
            close(result[name], expected[name], name)
    for name in ("hidden_states", "attentions"):
        for index, (mine, reference) in enumerate(zip(result[name], expected[name], strict=True)):
            close(mine, reference, f"{name} {index}")
    for loss in (result.loss, expected.loss):
        loss.backward()
    same_gradients(ours, theirs)
    graph = ours.embeddings(audio) if head == XVEC else ours.logits(audio)
    assert torch.equal(graph, result.embeddings if head == XVEC else result.logits)


@THEIR_MASKS
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "data2vec-audio"])
@pytest.mark.parametrize("weighted", [False, True])
def test_padding_as_in_the_reference_where_that_masks_it(tmp_path: Path, family: Family, weighted: bool) -> None:
    """With layer norm the reference library leaves the padding out of an utterance's class too."""
    ours, theirs = pair(tmp_path, family, UTTERANCE, **LARGE, use_weighted_layer_sum=weighted)
    audio, mask = waveforms(9000, 4000)
    labels = torch.tensor([[3], [-100]])
    result, expected = (model(audio, attention_mask=mask, labels=labels) for model in (ours, theirs))
    close(result.logits, expected.logits, "logits")
    close(result.loss, expected.loss, "loss")
    for loss in (result.loss, expected.loss):
        loss.backward()
    same_gradients(ours, theirs)


PADDED = [
    pytest.param(family, head, options, id=f"{family}{head}: {name}")
    for family, head in OF_FAMILIES
    for name, options in {"group": {}, "weighted": WEIGHTED, "layer": LARGE}.items()
]


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "head", "options"),
    [
        *PADDED,
        pytest.param("wav2vec2", XVEC, {"add_adapter": True, "num_adapter_layers": 1}, id="adapter"),
        pytest.param("wav2vec2", XVEC, {"add_adapter": True, **WEIGHTED}, id="unused adapter"),
    ],
)
def test_each_utterance_of_a_padded_batch_gets_what_it_gets_alone(
    tmp_path: Path, family: Family, head: Head, options: dict[str, Any]
) -> None:
    ours, theirs = pair(tmp_path, family, head, **options)
    lengths = (ours.shortest, 16000, ours.shortest + 320, 11111)
    audio, mask = waveforms(*lengths)
    name = "embeddings" if head == XVEC else "logits"
    batch = ours(audio, mask)[name]
    graph = getattr(ours, name)(audio, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = theirs(audio[row : row + 1, :length])[name][0]
        for found in (batch, graph):
            close(found[row, : len(alone)] if head == FRAME else found[row], alone, f"row {row}")
    noisy = torch.where(mask == 1, audio, torch.randn_like(audio))
    torch.testing.assert_close(getattr(ours, name)(noisy, torch.tensor(lengths)), graph)


@pytest.mark.parametrize(("head", "options"), [(UTTERANCE, {}), (FRAME, WEIGHTED), (XVEC, {}), (XVEC, WEIGHTED)])
def test_the_loss_of_a_padded_batch_is_that_of_its_utterances(
    tmp_path: Path, head: Head, options: dict[str, Any]
) -> None:
    ours, theirs = pair(tmp_path, "wav2vec2", head, **options)
    lengths = (12000, 6000)
    audio, mask = waveforms(*lengths)
    labels = targets(ours, head, ours(audio, mask).logits)
    ours(audio, mask, labels=labels).loss.backward()
    frames = ours.base_model.frames(torch.tensor(lengths))
    weights = (frames / frames.sum() if head == FRAME else torch.full((2,), 0.5)).tolist()
    for row, (length, weight) in enumerate(zip(lengths, weights, strict=True)):
        own = labels[row : row + 1, : frames[row]] if head == FRAME else labels[row : row + 1]
        (weight * theirs(audio[row : row + 1, :length], labels=own).loss).backward()
    same_gradients(ours, theirs)


def test_silent_units_have_gradients_under_padding(tmp_path: Path) -> None:
    """A unit that is 0 on all frames has no deviation, where a square root has no gradient."""
    ours, _ = pair(tmp_path, "wav2vec2", XVEC)
    with torch.no_grad():
        ours.tdnn[-1].kernel.bias[:5] = -1e3
    audio, mask = waveforms(12000, 6000)
    ours(audio, mask, labels=torch.tensor([0, 1])).loss.backward()
    assert all(weight.grad.isfinite().all() for weight in ours.parameters() if weight.grad is not None)


@pytest.mark.parametrize(("family", "head"), OF_FAMILIES)
@pytest.mark.parametrize("options", [{}, {**LARGE, **WEIGHTED}], ids=["base", "large, weighted"])
def test_transformers_reads_what_is_written_here(
    tmp_path: Path, family: Family, head: Head, options: dict[str, Any]
) -> None:
    options = {**(XVECTOR if head == XVEC else {}), **options}
    names = {0: "no", 1: "yes", 2: "perhaps"}
    ours = make_model(family, weights="edgespeech", head=head, id2label=names, **options)
    ours.save_pretrained(tmp_path)
    theirs, report = getattr(transformers, CLASSES[family] + head).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert theirs.config.id2label == names
    audio, _ = waveforms(8000)
    with torch.no_grad():
        close(ours(audio).logits, theirs.eval()(audio).logits, "logits")
    again = AUTO[head].from_pretrained(tmp_path)
    assert type(again) is type(ours)
    assert (again.config.id2label, again.config.num_labels) == (names, 3)
    assert all(torch.equal(tensor, ours.state_dict()[name]) for name, tensor in again.state_dict().items())
    if head != XVEC:
        assert again.labels == ("no", "yes", "perhaps")


@pytest.mark.parametrize(("family", "head"), OF_FAMILIES)
def test_fresh_heads_are_drawn_alike(family: Family, head: Head) -> None:
    sizes = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 16}
    options = {**sizes, **WEIGHTED, "num_labels": 40, "tdnn_dim": [50, 60], "tdnn_kernel": [3, 2]}
    options |= {"tdnn_dilation": [1, 1], "xvector_output_dim": 48}
    name, states = CLASSES[family], []
    for library in (edgespeech, transformers):
        torch.manual_seed(0)
        states.append(getattr(library, name + head)(getattr(library, name + "Config")(**options)).state_dict())
    ours, theirs = states
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        if key.startswith(("projector", "classifier", "layer_weights", "tdnn", "feature_extractor", "objective")):
            assert abs(tensor.mean() - theirs[key].mean()) < 0.05, key
            if tensor.ndim > 1:
                torch.testing.assert_close(tensor.std(), theirs[key].std(), rtol=0.1, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "labels", "message"),
    [
        (UTTERANCE, torch.tensor([4, 0]), "labels must be at least 0 and below num_labels 4, got 4"),
        (UTTERANCE, torch.tensor([0, -1]), "labels must be at least 0 and below num_labels 4, got -1"),
        (UTTERANCE, torch.tensor([0.0, 1.0]), r"labels must be whole numbers \(2,\), got torch.float32 of shape \[2\]"),
        (UTTERANCE, torch.tensor([0, 1, 2]), r"labels must be whole numbers \(2,\), got torch.int64 of shape \[3\]"),
        (FRAME, torch.zeros(2, 24), r"one-hot \(batch, frames, labels\) \[2, 24, 4\], got torch.float32 of shape \[2"),
        (FRAME, torch.zeros(2, 25, 4), r"labels must be one-hot .* \[2, 24, 4\], got .* \[2, 25, 4\]"),
        (FRAME, torch.zeros(2, 24, 3), r"labels must be one-hot .* \[2, 24, 4\], got .* \[2, 24, 3\]"),
        (XVEC, torch.tensor([0, -100]), "labels must be at least 0 and below num_labels 4, got -100"),
        (XVEC, torch.tensor([0, 4]), "labels must be at least 0 and below num_labels 4, got 4"),
        (XVEC, torch.tensor([[0, 1], [1, 0]]), r"labels must be whole numbers \(2,\)"),
    ],
)
def test_wrong_labels(tmp_path: Path, head: Head, labels: Tensor, message: str) -> None:
    ours, _ = pair(tmp_path, "wav2vec2", head)
    with pytest.raises(InputError, match=message) as caught:
        ours(waveforms(8000, 8000)[0], labels=labels)
    assert "\n" not in str(caught.value)


def test_labels_of_any_whole_type(tmp_path: Path) -> None:
    ours, _ = pair(tmp_path, "hubert", UTTERANCE)
    audio, _ = waveforms(4000)
    expected = ours(audio, labels=torch.tensor([2])).loss
    for labels in (torch.tensor(2), torch.tensor([[2]], dtype=torch.uint8), torch.tensor([2], dtype=torch.int32)):
        assert torch.equal(ours(audio, labels=labels).loss, expected)
    frames, _ = pair(tmp_path / "frames", "wav2vec2", FRAME)
    hot = torch.eye(4)[torch.arange(12) % 4][None]
    for kind in (torch.bool, torch.int64, torch.float64):
        assert torch.equal(frames(audio, labels=hot.to(kind)).loss, frames(audio, labels=hot).loss)


def test_an_xvector_needs_two_frames(tmp_path: Path) -> None:
    ours, theirs = pair(tmp_path, "wav2vec2", XVEC)
    assert ours.tdnn_windows == (5, 7, 1)
    shortest = ours.base_model.samples(2 + 4 + 6)
    assert ours.shortest == shortest
    audio, mask = waveforms(shortest, shortest)
    close(ours(audio, mask).embeddings, theirs(audio).embeddings, "embeddings")
    message = f"at least {shortest} samples for the two frames of which an x-vector's deviation is taken"
    for attempt in (ours, ours.embeddings):
        with pytest.raises(InputError, match=f"{message}, got {shortest - 1}; pad it"):
            attempt(audio[:, 1:])
    mask[1, -1] = 0
    with pytest.raises(InputError, match=f"{message}, attention_mask leaves {shortest - 1} in row 1"):
        ours(audio, mask)


@pytest.mark.parametrize(("family", "head"), OF_FAMILIES)
def test_checkpoints_of_other_heads(tmp_path: Path, family: Family, head: Head) -> None:
    make_checkpoint(tmp_path / "bare", family, head="Model")
    make_checkpoint(tmp_path / "ctc", family)
    for name in ("bare", "ctc"):
        with pytest.raises(WeightsError, match=rf"weights missing in .*{name}: classifier\.bias, classifier\.weight"):
            AUTO[head].from_pretrained(tmp_path / name, require_all_weights=True)
    make_checkpoint(tmp_path / "own", family, head=head, **XVECTOR)
    with pytest.raises(WeightsError, match=r"weights missing in .*own: lm_head\.bias, lm_head\.weight;"):
        edgespeech.AutoModelForCTC.from_pretrained(tmp_path / "own", require_all_weights=True)
    encoder = getattr(edgespeech, CLASSES[family] + "Model").from_pretrained(tmp_path / "own")
    whole = AUTO[head].from_pretrained(tmp_path / "own")
    assert all(torch.equal(tensor, whole.base_model.state_dict()[key]) for key, tensor in encoder.state_dict().items())
    with pytest.raises(WeightsError, match=r"weight classifier\.bias in .* has shape \[2\], the configuration asks"):
        AutoModelForAudioClassification.from_pretrained(make_checkpoint(tmp_path / "u", head=UTTERANCE), num_labels=9)


@pytest.mark.parametrize("head", [FRAME, XVEC])
def test_families_without_a_head(tmp_path: Path, head: Head) -> None:
    make_checkpoint(tmp_path, "hubert", head=UTTERANCE)
    with pytest.raises(UnknownModelError, match=r"has model_type 'hubert'; .* are known for: data2vec-audio, "):
        AUTO[head].from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        (UTTERANCE, {"add_adapter": True}, "Wav2Vec2ForSequenceClassification has no add_adapter; leave it at False"),
        (FRAME, {"add_adapter": True}, "Wav2Vec2ForAudioFrameClassification has no add_adapter; leave it at False"),
        (XVEC, {"add_adapter": True, "output_hidden_size": 20}, "output_hidden_size must be the same, got 20"),
        (XVEC, {"tdnn_dim": [4, 4]}, "must have one entry per layer each, got 2, 3 and 3"),
        (XVEC, {"tdnn_kernel": [5, 0, 1]}, r"tdnn_kernel must be at least 1, got \(5, 0, 1\)"),
    ],
)
def test_configurations_that_a_head_refuses(head: Head, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_model(weights="edgespeech", head=head, **{**XVECTOR, **options})


def test_names_with_gaps_are_no_names_of_logits() -> None:
    model = make_model(weights="edgespeech", head=UTTERANCE, id2label={0: "a", 2: "b"})
    with pytest.raises(ConfigError, match=r"id2label must name the classes 0, 1, ... without gaps, got \[0, 2\]"):
        _ = model.labels


@pytest.mark.parametrize(("family", "head"), OF_FAMILIES)
def test_freezing(tmp_path: Path, family: Family, head: Head) -> None:
    ours, theirs = pair(tmp_path, family, head, **WEIGHTED)
    for step in ("freeze_feature_encoder", "freeze_base_model"):
        learning = []
        for model in (ours, theirs):
            getattr(model, step)()
            learning.append({name for name, weight in model.named_parameters() if weight.requires_grad})
        assert learning[0] == learning[1]


def test_the_layer_that_holds_the_biases_is_never_dropped(tmp_path: Path) -> None:
    """As in the reference library: WavLM's first layer has what all others need."""
    ours, theirs = pair(tmp_path, "wavlm", UTTERANCE, layerdrop=1.0)
    audio, _ = waveforms(6000)
    result, expected = (model(audio, output_hidden_states=True) for model in (ours, theirs))
    assert len(result.hidden_states) == 3
    close(result.hidden_states[1], expected.hidden_states[-1], "the first layer's")
    close(result.logits, expected.logits, "logits")
    assert torch.equal(result.hidden_states[2], result.hidden_states[1])


def test_dropped_layers_have_a_state_in_the_mixture(tmp_path: Path) -> None:
    """A layer that training leaves out passes its input on; the mixture still has a state for each share."""
    ours, _ = pair(tmp_path, "wav2vec2", UTTERANCE, **WEIGHTED, layerdrop=1.0)
    audio, _ = waveforms(6000)
    result = ours(audio, output_hidden_states=True)
    assert len(result.hidden_states) == 3
    torch.testing.assert_close(result.logits, ours.head(result.hidden_states[0], None))
