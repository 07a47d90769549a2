"""Lengths under padding: how many frames an utterance has, and which frames of a padded batch are real."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

Length = TypeVar("Length", int, Tensor)


def conv_length(length: Length, kernel: int, stride: int, padding: int = 0) -> Length:
    """Frames that a convolution gives for `length` frames, https://arxiv.org/abs/1603.07285 (relationship 6)."""
    spread = length + 2 * padding - kernel
    if isinstance(spread, Tensor):
        # A legal length leaves no negative spread, so that cutting off is rounding down; graphs do it in one step.
        return torch.div(spread, stride, rounding_mode="trunc") + 1
    return spread // stride + 1


def samples_for(frames: int, layers: Sequence[tuple[int, int, int]]) -> int:
    """Return the shortest input from which convolutions of these kernels, strides and paddings make so many frames."""
    for kernel, stride, padding in reversed(layers):
        frames = max((frames - 1) * stride + kernel - 2 * padding, 1)
    return frames


def real(lengths: Tensor, frames: int) -> Tensor:
    """Return a mask that is true on the real frames of a batch: lengths (batch,) -> (batch, frames)."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]
