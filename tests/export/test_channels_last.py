"""The conv stack with channels last computes what the reference stack computes."""

import copy
from typing import Any

import pytest
import torch
from checkpoints import make_model, waveforms
from edgespeech_export.writers.channels_last import with_channels_last

STACKS: list[dict[str, Any]] = [
    {},
    {"feat_extract_norm": "layer", "conv_bias": True},
    {"conv_dim": [8, 12, 6, 10], "conv_kernel": [5, 7, 1, 2], "conv_stride": [2, 3, 2, 4]},
    {"conv_dim": [8, 12], "conv_kernel": [4, 6], "conv_stride": [4, 2], "feat_extract_norm": "layer"},
]


@pytest.mark.parametrize("stack", STACKS)
def test_features_are_those_of_the_reference(stack: dict[str, Any]) -> None:
    model = make_model("wav2vec2", weights="edgespeech", **stack)
    other = with_channels_last(model, model.base_model)
    shortest = model.base_model.shortest
    for length in (shortest, shortest + 1, 2 * shortest, 8000):
        audio, _ = waveforms(length)
        with torch.inference_mode():
            expected, _ = model.base_model.feature_extractor(audio)
            found, _ = other.base_model.feature_extractor(audio)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_lengths_are_those_of_the_reference() -> None:
    model = make_model("wav2vec2", weights="edgespeech")
    audio, _ = waveforms(8000, 400, 5000)
    lengths = torch.tensor([8000, 400, 5000])
    with torch.inference_mode():
        expected, frames = model.base_model.feature_extractor(audio, lengths)
        found, found_frames = with_channels_last(model, model.base_model).base_model.feature_extractor(audio, lengths)
    assert frames.tolist() == found_frames.tolist()
    for row, other, count in zip(expected, found, frames.tolist(), strict=True):
        torch.testing.assert_close(other[:count], row[:count], atol=1e-5, rtol=1e-5)


def test_group_norm_is_exact_for_filters_that_see_only_high_frequencies() -> None:
    model = make_model("wav2vec2", weights="edgespeech")
    audio = torch.sin(torch.arange(8000) * 0.01)[None] + 1e-3 * waveforms(8000)[0]
    first = model.base_model.feature_extractor.conv_layers[0]
    with torch.inference_mode():
        first.conv.weight.copy_(30 * first.conv.weight.diff(n=4, dim=2, prepend=torch.zeros(24, 1, 4)))
        other = with_channels_last(model, model.base_model).base_model.feature_extractor.conv_layers[0]
        precise = copy.deepcopy(first).double()(audio.double()[:, None], None)[0].transpose(1, 2)
        found, _ = other(audio, None)
    torch.testing.assert_close(found.double(), precise, atol=1e-3, rtol=1e-3)
