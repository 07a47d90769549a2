"""Padded batches against single runs, and inputs that the models refuse."""

from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import CLASSES, Family, make_checkpoint, make_model, waveforms

import edgespeech
from edgespeech.errors import InputError

LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
CASES: dict[str, tuple[Family, dict[str, Any]]] = {
    "group norm": ("wav2vec2", {}),
    "layer norm": ("unispeech", LARGE),
    "group norm, bias, pre-norm": ("unispeech", {"conv_bias": True, "do_stable_layer_norm": True}),
    "batch norm": ("hubert", {"conv_pos_batch_norm": True}),
    "batch norm, layer norm": ("hubert", {**LARGE, "conv_pos_batch_norm": True, "num_conv_pos_embeddings": 7}),
    "odd convolutions": ("hubert", {"conv_dim": [7, 9], "conv_kernel": [50, 7], "conv_stride": [31, 9]}),
    "adapter": ("wav2vec2", {"add_adapter": True, "output_hidden_size": 20}),
    "adapter of kernel 5": ("wav2vec2", {"add_adapter": True, "adapter_kernel_size": 5, "num_adapter_layers": 2}),
    "adapter of kernel 1": ("wav2vec2", {"add_adapter": True, "adapter_kernel_size": 1, "num_adapter_layers": 2}),
    "adapter of stride 1": ("wav2vec2", {**LARGE, "add_adapter": True, "adapter_stride": 1, "adapter_kernel_size": 4}),
    "relative positions": ("wavlm", {**LARGE, "num_buckets": 16, "max_bucket_distance": 60}),
    "positional stack": ("data2vec-audio", {"conv_bias": True, "conv_pos_kernel_size": 6}),
    "positional stack, adapter": ("data2vec-audio", {"num_conv_pos_embeddings": 2, "add_adapter": True}),
    "language adapters": ("wav2vec2", {**LARGE, "adapter_attn_dim": 5}),
}
every_case = pytest.mark.parametrize(("family", "options"), CASES.values(), ids=CASES)


@every_case
@torch.no_grad()
def test_a_padded_batch_equals_single_runs(family: Family, options: dict[str, Any]) -> None:
    model = make_model(family, weights="edgespeech", **options)
    shortest, hop = model.base_model.shortest, model.config.inputs_to_logits_ratio
    lengths = (20 * 16000, shortest, shortest + hop - 1, shortest + hop, shortest + 1, 16000, 5 * 16000 + 77)
    audio, mask = waveforms(*lengths)
    batch = model(audio, mask, output_hidden_states=True)
    frames = model.base_model.frames(torch.tensor(lengths)).tolist()
    assert frames[1:4:2] == [1, 2] or model.config.add_adapter
    for row, (length, count) in enumerate(zip(lengths, frames, strict=True)):
        alone = model(audio[row : row + 1, :length], output_hidden_states=True)
        assert alone.logits.shape[1] == count
        assert float((batch.logits[row, :count] - alone.logits[0]).abs().max()) < 1e-4, f"{length} samples"
        for index, (padded, single) in enumerate(zip(batch.hidden_states, alone.hidden_states, strict=True)):
            real = single.shape[1]
            assert float((padded[row, :real] - single[0]).abs().max()) < 1e-4, f"{length} samples, layer {index}"


@every_case
@torch.no_grad()
def test_what_stands_in_the_padding_does_not_matter(family: Family, options: dict[str, Any]) -> None:
    model = make_model(family, weights="edgespeech", **options)
    audio, mask = waveforms(16000, 6000)
    frames = int(model.base_model.frames(torch.tensor(6000)))
    noisy = audio + (1 - mask) * 3.0
    difference = model(audio, mask).logits[1, :frames] - model(noisy, mask).logits[1, :frames]
    assert float(difference.abs().max()) < 1e-4


@every_case
@torch.no_grad()
def test_shortest_is_the_receptive_field(family: Family, options: dict[str, Any]) -> None:
    model = make_model(family, weights="edgespeech", **options)
    shortest = model.base_model.shortest
    frames = int(model.base_model.frames(torch.tensor(shortest)))
    assert frames == (2 if options.get("adapter_kernel_size") == 1 else 1)
    assert model(torch.randn(1, shortest)).logits.shape[1] == frames
    with pytest.raises(InputError, match=f"at least {shortest} samples for one frame, got {shortest - 1}"):
        model(torch.randn(1, shortest - 1))


@every_case
@torch.no_grad()
def test_frames_are_counted_as_the_convolutions_give_them(family: Family, options: dict[str, Any]) -> None:
    model = make_model(family, weights="edgespeech", **options, num_hidden_layers=0)
    shortest, hop = model.base_model.shortest, model.config.inputs_to_logits_ratio
    lengths = torch.arange(shortest, shortest + 4 * hop, hop // 5 + 1)
    counts = model.base_model.frames(lengths).tolist()
    for length, count in zip(lengths.tolist(), counts, strict=True):
        assert model(torch.zeros(1, length)).logits.shape[1] == count, f"{length} samples"


@torch.no_grad()
def test_a_full_mask_changes_nothing() -> None:
    model = make_model("wav2vec2", weights="edgespeech")
    audio, mask = waveforms(8000, 8000)
    torch.testing.assert_close(model(audio, mask).logits, model(audio).logits)
    for kind in (torch.bool, torch.int32, torch.float32):
        assert torch.equal(model(audio, mask.to(kind)).logits, model(audio, mask).logits)


@torch.no_grad()
def test_nan_stays_in_its_row() -> None:
    model = make_model("wav2vec2", weights="edgespeech")
    audio, mask = waveforms(8000, 6000)
    expected = model(audio, mask).logits[1]
    audio[0, 100] = float("nan")
    logits = model(audio, mask).logits
    assert logits[0].isnan().all()
    torch.testing.assert_close(logits[1], expected)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@torch.no_grad()
def test_half_precision_is_near(kind: torch.dtype) -> None:
    model = make_model("wav2vec2", weights="edgespeech", num_hidden_layers=1)
    audio, mask = waveforms(21 * 16000, 8000)  # more first-layer frames than float16 can count
    expected = model(audio, mask).logits
    logits = model.to(kind)(audio.to(kind), mask).logits
    assert logits.dtype == kind
    assert float((logits.float()[:, :20] - expected[:, :20]).abs().mean()) < 0.05


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((16000,), r"must be \(batch, samples\), got \[16000\]"),
        ((1, 1, 16000), r"must be \(batch, samples\), got \[1, 1, 16000\]"),
        ((0, 16000), r"must be \(batch, samples\), got \[0, 16000\]"),
        ((2, 0), "at least 400 samples for one frame, got 0"),
    ],
)
@pytest.mark.parametrize("head", ["Model", "ForCTC"])
def test_wrong_shapes(head: str, shape: tuple[int, ...], message: str) -> None:
    model = make_model("hubert", weights="edgespeech", head=head)
    with pytest.raises(InputError, match=message):
        model(torch.zeros(shape))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.int16])
def test_wrong_types(kind: torch.dtype) -> None:
    model = make_model("hubert", weights="edgespeech")
    with pytest.raises(InputError, match=f"must be torch.float32 like the weights, got {kind}"):
        model(torch.zeros(1, 16000, dtype=kind))


def rows(*lengths: int) -> torch.Tensor:
    """Return a mask of 800 samples with so many real ones in each row."""
    return (torch.arange(800) < torch.tensor(lengths)[:, None]).long()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (rows(800, 399), "at least 400 samples for one frame, attention_mask leaves 399 in row 1"),
        (rows(0, 800), "attention_mask leaves 0 in row 0"),
        (rows(800, 500).flip(1), "pad on the right"),
        (rows(800, 400) * (torch.arange(800) != 50), "pad on the right"),
        (rows(800), r"must have the shape of input_values \[2, 800\], got \[1, 800\]"),
        (rows(800, 400)[:, :799], r"got \[2, 799\]"),
        (torch.ones(2), r"got \[2\]"),
    ],
)
def test_wrong_masks(tmp_path: Path, mask: torch.Tensor, message: str) -> None:
    folder = make_checkpoint(tmp_path, "unispeech", weights="edgespeech")
    for head in ("Model", "ForCTC"):
        model = getattr(edgespeech, CLASSES["unispeech"] + head).from_pretrained(folder)
        with pytest.raises(InputError, match=message):
            model(torch.zeros(2, 800), mask)
