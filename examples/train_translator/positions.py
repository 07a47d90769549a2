"""The long positional convolution: what it begins as, and a faster way to compute it for training."""

import math
from collections.abc import Iterable

import torch
from clock import set_weight
from torch import Tensor, nn
from torch.nn import functional as F

FIT_STEPS = 160
FIT_RATE = 1e-2


class FourierConv1d(nn.Module):
    """What `convolution`, of an even kernel and half of it as padding, gives; computed by Fourier transform."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, frames) -> (batch, channels, frames + 1), in float32."""
        with torch.autocast("cpu", enabled=False):
            batch, channels, frames = x.shape
            groups, (_, within, taps) = self.convolution.groups, self.convolution.weight.shape
            size = fast_size(frames + taps)
            signal = torch.fft.rfft(x.float().view(batch, groups, within, frames), size)
            kernel = torch.fft.rfft(self.convolution.weight.view(groups, -1, within, taps), size).conj()
            product = sum(signal[:, :, None, i] * kernel[:, :, i] for i in range(within))
            y = torch.fft.irfft(product, size).view(batch, channels, size).roll(taps // 2, -1)
            return y[..., : frames + 1] + self.convolution.bias[:, None]


def fast_size(least: int) -> int:
    """The smallest 2^a or 3 * 2^a that is at least `least`."""
    size = 1 << (least - 1).bit_length()
    return size * 3 // 4 if size * 3 // 4 >= least else size


def begin(convolution: nn.Conv1d, old: nn.Conv1d, features: Iterable[Tensor]) -> None:
    """Set the weights of `convolution`, of a long kernel and few channels in a group.

    In the middle it does as far as it can what `old` does to `features`, each (batch, channels, frames). Around that
    each channel has a mean over the past or the future, over one of many spans: with the edges of the utterance in
    reach, such means tell the time.
    """
    short = imitation(old, convolution.groups, features)
    channels, within, taps = convolution.weight.shape
    reach, rim = taps // 2, short.kernel_size[0] // 2
    with torch.no_grad():
        weight = torch.zeros(channels, within, taps)
        weight[..., reach - rim : reach + rim] = short.weight
        spans = torch.logspace(5, math.log2(reach), channels // 2, 2).round().long()
        for channel in range(channels):
            span = int(spans[channel // 2])
            side = slice(reach - span, reach) if channel % 2 else slice(reach, reach + span)
            weight[channel, channel % within, side] += (-1) ** (channel // 2) / span
        set_weight(convolution, weight)
        convolution.bias.copy_(short.bias)


def imitation(old: nn.Conv1d, groups: int, features: Iterable[Tensor]) -> nn.Conv1d:
    """A convolution of the same kernel with fewer channels in a group, fitted to what `old` makes of `features`."""
    channels, taps = old.weight.shape[0], old.kernel_size[0]
    new = nn.Conv1d(channels, channels, taps, padding=taps // 2, groups=groups)
    within, out = channels // groups, torch.arange(channels)
    with torch.no_grad():
        for i in range(within):
            new.weight[:, i] = old.weight[out, (out // within * within + i) % old.weight.shape[1]]
        new.bias.copy_(old.bias)
        known = [(x, F.gelu(old(x))) for x in features]
    adam = torch.optim.Adam(new.parameters(), lr=FIT_RATE)
    for step in range(FIT_STEPS):
        x, wanted = known[step % len(known)]
        adam.param_groups[0]["lr"] = FIT_RATE * (1 - step / FIT_STEPS)
        adam.zero_grad()
        F.mse_loss(F.gelu(new(x)), wanted).backward()
        adam.step()
    return new
