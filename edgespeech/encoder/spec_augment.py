"""SpecAugment: spans of time and of feature channels hidden from the transformer during training.

https://arxiv.org/abs/1904.08779, in the form of wav2vec2, https://arxiv.org/abs/2006.11477 (section 3.1)
"""

import numpy as np
import torch
from torch import Tensor

from edgespeech.errors import ConfigError


def spans(lengths: list[int], width: int, probability: float, span: int, at_least: int) -> Tensor:
    """Draw spans to hide: (rows, width), true where hidden.

    Each row of `lengths[i]` true positions starts about `probability * length / span` spans, at least `at_least`,
    at most as many as fit side by side in the width, without repetition of a start; spans may overlap. Draws from
    torch's generator, so `torch.manual_seed` repeats it.

    Raises:
        ConfigError: a span of no length, or longer than a row is wide.
    """
    if not 1 <= span <= width:
        raise ConfigError(f"mask length must be between 1 and the {width} positions of the input, got {span}")
    generator = np.random.default_rng(int(torch.randint(2**31, ())))
    hidden = np.zeros((len(lengths), width), dtype=bool)
    for row, length in zip(hidden, lengths, strict=True):
        count = max(int(probability * length / span + generator.random()), at_least)
        starts_possible = max(length - span + 1, 0)
        starts = generator.choice(starts_possible, min(count, width // span, starts_possible), replace=False)
        row[starts[:, None] + np.arange(span)] = True
    return torch.from_numpy(hidden)
