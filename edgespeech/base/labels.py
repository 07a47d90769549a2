"""Labels of an encoder-decoder: what is a legal one, and the decoder's input that follows from them."""

from typing import Any

import torch
from torch import Tensor

from edgespeech.errors import ConfigError, InputError

IGNORED = -100  # the label of a position that the loss leaves out


def check_labels(labels: Tensor, vocab_size: int) -> None:
    """Check labels (batch, tokens).

    Raises:
        InputError: another shape, no whole numbers, or one that is neither a token nor -100.
    """
    if labels.ndim != 2 or labels.is_floating_point() or not labels.numel():
        raise InputError(
            f"labels must be whole numbers (batch, tokens), got {labels.dtype} of shape {list(labels.shape)}"
        )
    wrong = labels[((labels < 0) & (labels != IGNORED)) | (labels >= vocab_size)]
    if len(wrong):
        raise InputError(f"labels must be below vocab_size {vocab_size}, or {IGNORED} for none, got {int(wrong[0])}")


def shifted_right(labels: Tensor, config: Any, vocab_size: int) -> Tensor:
    """Return labels (batch, tokens) behind `decoder_start_token_id`, the last one gone, `pad_token_id` for -100.

    Raises:
        ConfigError: one of the two is not set, or outside the vocabulary.
    """
    for name in ("decoder_start_token_id", "pad_token_id"):
        value = getattr(config, name)
        if value is None:
            raise ConfigError(
                f"training with labels needs {name}; set model.config.{name}, for example to an id of the tokenizer's"
            )
        if not 0 <= value < vocab_size:
            raise ConfigError(f"{name} must be below the decoder's vocab_size {vocab_size}, got {value}")
    start = labels.new_full((len(labels), 1), config.decoder_start_token_id)
    shifted = torch.cat([start, labels[:, :-1]], 1)
    return shifted.masked_fill(shifted == IGNORED, config.pad_token_id)
