"""Parts of the graphs of fixed shapes against the reference modules they stand for."""

import pytest
import torch
from checkpoints import TINY
from edgespeech_export.graphs.static import FirstProduct, mask_depths, positional, time_norm
from edgespeech_export.writers.channels_last import ChannelsLastExtractor
from torch.nn.utils import parametrize

from edgespeech import Wav2Vec2Config, Wav2Vec2Model
from edgespeech.encoder.features import FeatureExtractor, TimeGroupNorm
from edgespeech.encoder.lengths import real
from edgespeech.encoder.positions import PositionalConv


def config(**options):
    return Wav2Vec2Config(**{**TINY, **options})


@pytest.mark.parametrize("groups", [4, 32])
@pytest.mark.parametrize("kernel", [16, 15, 128, 127])
@pytest.mark.parametrize("frames", [1, 2, 13, 64, 65, 90])
@torch.no_grad()
def test_a_long_positional_kernel_is_cut_to_what_sees_frames(kernel, frames, groups):
    torch.manual_seed(kernel)
    options = {"num_conv_pos_embeddings": kernel, "num_conv_pos_embedding_groups": groups}
    layer = PositionalConv(config(**options)).eval()
    parametrize.remove_parametrizations(layer.conv, "weight")
    x, mask = torch.randn(1, frames, TINY["hidden_size"]), real(torch.tensor([max(1, frames - 3)]), frames)
    found = positional(layer, x, mask.float())
    torch.testing.assert_close(found, layer(x, mask), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kernel", [15, 40, 128])
@pytest.mark.parametrize("used", [(0, 15), (1, 8), (7, 9), (3, 15)])
@torch.no_grad()
def test_zeros_at_the_ends_of_a_kernel_for_each_channel_are_left_out(kernel, used):
    torch.manual_seed(kernel)
    options = {"num_conv_pos_embeddings": kernel, "num_conv_pos_embedding_groups": TINY["hidden_size"]}
    layer = PositionalConv(config(**options)).eval()
    parametrize.remove_parametrizations(layer.conv, "weight")
    layer.conv.weight[:, :, : used[0]] = 0
    layer.conv.weight[:, :, used[1] :] = 0
    x, mask = torch.randn(2, 40, TINY["hidden_size"]), real(torch.tensor([40, 22]), 40)
    expected = layer(x, mask)
    layer.trim()
    assert layer.conv.weight.shape[2] == used[1] - used[0]
    torch.testing.assert_close(layer(x, mask), expected, atol=1e-5, rtol=0)
    alone = torch.ones(1, 40)
    torch.testing.assert_close(positional(layer, x[:1], alone), expected[:1], atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_norm_over_time_counts_real_frames_alone():
    torch.manual_seed(0)
    norm, x, lengths = TimeGroupNorm(6), 3 + 2 * torch.randn(1, 6, 40), torch.tensor([17])
    norm.weight.uniform_(0.5, 2)
    norm.bias.uniform_(-1, 1)
    found = time_norm(norm, x, real(lengths, 40).float())
    torch.testing.assert_close(found[..., :17], norm(x, lengths)[..., :17], atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [{}, {"feat_extract_norm": "layer", "conv_bias": True}])
@torch.no_grad()
def test_the_first_convolution_as_a_product(options):
    torch.manual_seed(1)
    stack = FeatureExtractor(config(**options)).eval()
    first = stack.conv_layers[0]
    expected, _ = first(torch.randn(1, 1, 1003, generator=torch.Generator().manual_seed(2)), None)
    product = FirstProduct(ChannelsLastExtractor(stack).conv_layers[0])
    waveform = torch.randn(1, 1003, generator=torch.Generator().manual_seed(2))
    found = product(waveform, torch.ones(1, expected.shape[2]))
    torch.testing.assert_close(found, expected.transpose(1, 2), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "depths"),
    [
        ({}, (1, 7)),
        ({"feat_extract_norm": "layer"}, (7,)),
        ({"feat_extract_norm": "layer", "add_adapter": True, "num_adapter_layers": 3}, (7, 8, 9)),
        ({"conv_dim": [8], "conv_kernel": [10], "conv_stride": [5]}, (1,)),
    ],
)
def test_masks_are_wanted_where_padding_would_leak(options, depths):
    assert mask_depths(Wav2Vec2Model(config(**options)), "ctc", 9) == depths
