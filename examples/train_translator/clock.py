"""A clock in the encoder: a few of its channels tell how far a frame is from the beginning and from the end.

The positional convolution of a constant is a function of the distance to the edges of the utterance alone, and may be
any. Here the least read channels become constant before the convolution and waves of four periods after it, the sine
in one and the cosine in the next. The layers hand them on: what they wrote into these channels is dropped.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

FRAMES = 50  # per second
PERIODS = (25.6, 10.0, 4.0, 1.6)  # seconds
HEIGHT = 3.0  # of a wave, where other channels are about as large
ROOM = HEIGHT + 1  # what keeps a wave above zero, where GELU hardly changes it


def add_clock(encoder: Any) -> None:
    """Change the weights of an encoder whose positional convolution has two channels in a group."""
    transformer, projection = encoder.encoder, encoder.feature_projection.projection
    convolution = transformer.pos_conv_embed.conv
    pairs = least_read(transformer)
    channels = torch.cat([2 * pairs, 2 * pairs + 1])
    with torch.no_grad():
        projection.weight[channels] = 0
        projection.bias[channels] = -ROOM
        convolution.bias[2 * pairs], convolution.bias[2 * pairs + 1] = ROOM, 1.0
        weight = convolution.weight.clone()
        weight[channels] = 0
        for index, pair in enumerate(pairs.tolist()):
            period, forward = PERIODS[index // 2] * FRAMES, index % 2 == 0
            for channel, wave in ((2 * pair, sine), (2 * pair + 1, cosine)):
                weight[channel, 0] = steps(wave, period, weight.shape[-1] // 2, forward) / -ROOM
        set_weight(convolution, weight)
        for norm in (module for module in transformer.modules() if isinstance(module, nn.LayerNorm)):
            norm.weight[channels], norm.bias[channels] = 1.0, 0.0
        for layer in transformer.layers:
            for last in (layer.attention.out_proj, layer.feed_forward.output_dense):
                last.weight[channels], last.bias[channels] = 0.0, 0.0


def clock_rows(rows: int, size: int, slot: float) -> Tensor:
    """The same waves, once per `slot` frames and at its middle, as often as they fit into (rows, size)."""
    angles = (torch.arange(rows)[:, None] + 0.5) * slot / FRAMES / torch.tensor(PERIODS) * 2 * math.pi
    waves = torch.cat([angles.sin(), angles.cos()], 1)
    return waves.repeat(1, size // waves.shape[1])


def least_read(transformer: Any) -> Tensor:
    """Indices of the pairs of channels that queries, keys and values of all layers weigh least, two for each period."""
    read = sum(
        linear.weight.square().sum(0)
        for layer in transformer.layers
        for linear in (layer.attention.q_proj, layer.attention.k_proj, layer.attention.v_proj)
    )
    return read.view(-1, 2).sum(1).argsort()[: 2 * len(PERIODS)]


def sine(frames: Tensor, period: float) -> Tensor:
    """A wave that begins at 0, between -HEIGHT and HEIGHT."""
    return HEIGHT * torch.sin(2 * math.pi * frames / period)


def cosine(frames: Tensor, period: float) -> Tensor:
    """A wave that begins at 0, between 0 and 2 HEIGHT."""
    return HEIGHT * (1 - torch.cos(2 * math.pi * frames / period))


def steps(wave: Any, period: float, reach: int, forward: bool) -> Tensor:
    """Taps (2 * reach,) that sum up to `wave` at the distance from the beginning (forward) or from the end."""
    rises = wave(torch.arange(reach + 1.0), period).diff()
    taps = torch.zeros(2 * reach)
    if forward:
        taps[:reach] = rises.flip(0)
    else:
        taps[reach + 1 :] = rises[:-1]
    return taps


def set_weight(convolution: nn.Conv1d, weight: Tensor) -> None:
    """Set the weight of a convolution with weight norm; directions get length 1, as the learning rate is for that."""
    convolution.weight = weight
    direction = convolution.parametrizations.weight.original1  # type: ignore[union-attr]
    direction /= direction.norm(dim=(0, 1), keepdim=True)
