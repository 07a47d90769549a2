"""How many operations a checkpoint's encoder takes, counted by torch on tensors without values."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import edgespeech


@dataclass(frozen=True)
class Operations:
    """Multiplications and additions: of layers with weights, and of the products in attention."""

    layers: int
    attention: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.layers + self.attention


def operations(checkpoint: Path, samples: int) -> Operations:
    """Of a CTC checkpoint for one utterance of so many samples."""
    model = edgespeech.AutoModelForCTC.from_pretrained(checkpoint).eval().to("meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.logits(torch.zeros(1, samples, device="meta"))
    counts = {str(name): int(count) for name, count in counter.get_flop_counts()["Global"].items()}
    attention = sum(count for name, count in counts.items() if "bmm" in name or "attention" in name)
    return Operations(sum(counts.values()) - attention, attention)
