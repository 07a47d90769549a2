"""How many operations a checkpoint's encoder takes, and in products of which sizes, on tensors without values."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import edgespeech
from edgespeech.encoder.transformer import Attention

Shape = tuple[int, ...]  # rows, inputs, outputs of a matrix product; before them the heads of products in attention

ROWS = 1024  # of a product at most; more are several products, as in our INT8 graphs


@dataclass(frozen=True)
class Operations:
    """Multiplications and additions: of layers with weights, and of the products in attention.

    Attributes:
        sizes: of the matrix products that layers are, a convolution over the windows of its input, and how many there
            are of each.
        in_attention: the same of the products in attention.
    """

    layers: int
    attention: int
    sizes: Counter[Shape]
    in_attention: Counter[Shape]

    @property
    def total(self) -> int:
        """All of them."""
        return self.layers + self.attention

    @property
    def unsized(self) -> int:
        """Those of layers that are in none of the products."""
        return max(0, self.layers - 2 * sum(prod(shape) * count for shape, count in self.sizes.items()))


def operations(checkpoint: Path, samples: int) -> Operations:
    """Of a CTC checkpoint for one utterance of so many samples."""
    model = edgespeech.AutoModelForCTC.from_pretrained(checkpoint).eval().to("meta")
    counter, sizes, in_attention = FlopCounterMode(display=False), Counter[Shape](), Counter[Shape]()

    def note(layer: Any, given: tuple[torch.Tensor, ...], output: Any) -> None:
        if isinstance(layer, Attention):
            frames = given[0].shape[1]
            in_attention.update([(layer.heads, frames, layer.head_dim, frames)])
            in_attention.update([(layer.heads, frames, frames, layer.head_dim)])
        else:
            sizes.update(products_of(layer, output))

    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv1d, Attention)):
            layer.register_forward_hook(note)
    with counter, torch.no_grad():
        model.logits(torch.zeros(1, samples, device="meta"))
    counts = {str(name): int(count) for name, count in counter.get_flop_counts()["Global"].items()}
    attention = sum(count for name, count in counts.items() if "bmm" in name or "attention" in name)
    return Operations(sum(counts.values()) - attention, attention, sizes, in_attention)


def products_of(layer: nn.Linear | nn.Conv1d, output: torch.Tensor) -> Counter[Shape]:
    """Return the products that a layer is, when it gives an output, of `ROWS` rows each and of those that are left."""
    if isinstance(layer, nn.Linear):
        rows, inputs, outputs, groups = output.numel() // layer.out_features, layer.in_features, layer.out_features, 1
    else:
        groups = layer.groups
        inputs, outputs = layer.in_channels // groups * layer.kernel_size[0], layer.out_channels // groups
        rows = output.numel() // layer.out_channels
    whole, left = divmod(rows, ROWS)
    counts = {(ROWS, inputs, outputs): whole * groups, (left, inputs, outputs): groups}
    return Counter({shape: count for shape, count in counts.items() if count and shape[0]})
