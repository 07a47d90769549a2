"""Parts of the graphs of fixed shapes against the reference modules they stand for."""

import pytest
import torch
from checkpoints import TINY
from edgespeech_export.channels_last import ChannelsLastExtractor
from edgespeech_export.static_graphs import FirstProduct, mask_depths, positional, time_norm
from torch.nn.utils import parametrize

from edgespeech import Wav2Vec2Config, Wav2Vec2Model
from edgespeech.encoder.features import FeatureExtractor, TimeGroupNorm
from edgespeech.encoder.lengths import real
from edgespeech.encoder.transformer import PositionalConv


def config(**options):
    return Wav2Vec2Config(**{**TINY, **options})


@pytest.mark.parametrize("kernel", [16, 15, 128, 127])
@pytest.mark.parametrize("frames", [1, 2, 13, 64, 65, 90])
@torch.no_grad()
def test_a_long_positional_kernel_is_cut_to_what_sees_frames(kernel, frames):
    torch.manual_seed(kernel)
    layer = PositionalConv(config(num_conv_pos_embeddings=kernel)).eval()
    parametrize.remove_parametrizations(layer.conv, "weight")
    x, mask = torch.randn(1, frames, TINY["hidden_size"]), real(torch.tensor([max(1, frames - 3)]), frames)
    found = positional(layer, x, mask.float())
    torch.testing.assert_close(found, layer(x, mask), atol=1e-5, rtol=0)


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
