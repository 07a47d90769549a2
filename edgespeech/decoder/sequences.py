"""Whole sequences: what is a legal one, and which tokens and frames each token sees."""

import torch
from torch import Tensor

from edgespeech.decoder.configuration import Architecture
from edgespeech.errors import InputError


def mask_value(dtype: torch.dtype) -> float:
    """Return what is added to the score of what is hidden.

    Scores vanish in it, so that a token that sees nothing (padding before a sequence) attends to all alike; half of the
    type's range, so that the sum stays finite.
    """
    return torch.finfo(dtype).min / 2


def causal_bias(tokens: Tensor, attention_mask: Tensor | None, dtype: torch.dtype, before: int = 0) -> Tensor:
    """Return the bias by which each token sees itself and the real ones before it, `before` of them read earlier.

    Tokens (batch, length), mask (batch, before + length) -> (batch or 1, 1, length, before + length).
    """
    length = tokens.shape[1]
    seen = torch.ones(length, before + length, dtype=torch.bool, device=tokens.device).tril(before)[None, None]
    if attention_mask is not None:
        seen = seen & (attention_mask != 0)[:, None, None].to(tokens.device)
    return (~seen).to(dtype) * mask_value(dtype)


def padding_bias(mask: Tensor | None, states: Tensor) -> Tensor | None:
    """Return the bias (batch, 1, 1, frames) that hides padded frames, None for no mask.

    Raises:
        InputError: the mask has another shape than (batch, frames).
    """
    if mask is None:
        return None
    if mask.shape != states.shape[:2]:
        raise InputError(
            f"encoder_attention_mask must be (batch, frames) {list(states.shape[:2])}, got {list(mask.shape)}"
        )
    return (mask == 0)[:, None, None].to(states.dtype) * mask_value(states.dtype)


def check_sequences(
    architecture: Architecture,
    tokens: Tensor,
    attention_mask: Tensor | None,
    positions: Tensor | None,
    labels: Tensor | None,
    before: int = 0,
) -> None:
    """Check what `TextDecoder.forward` was given.

    Raises:
        InputError: see there.
    """
    if tokens.ndim != 2 or tokens.is_floating_point() or not tokens.numel():
        raise InputError(f"input_ids must be whole numbers (batch, length), got {tokens.dtype} {list(tokens.shape)}")
    size, max_positions = architecture.vocab_size, architecture.max_positions
    if int(tokens.min()) < 0 or int(tokens.max()) >= size:
        raise InputError(f"input_ids must be below vocab_size {size}, got {int(tokens.min())} to {int(tokens.max())}")
    if positions is not None and (int(positions.min()) < 0 or int(positions.max()) >= max_positions):
        raise InputError(
            f"position_ids must be below {max_positions}, got {int(positions.min())} to {int(positions.max())}"
        )
    for name, given, columns in (("attention_mask", attention_mask, before), ("labels", labels, 0)):
        shape = [len(tokens), columns + tokens.shape[1]]
        if given is not None and list(given.shape) != shape:
            more = f" and the {columns} before" if columns else ""
            raise InputError(f"{name} must have the shape of input_ids{more} {shape}, got {list(given.shape)}")
    if labels is not None and int(labels.max()) >= size:
        raise InputError(f"labels must be below vocab_size {size}, got {int(labels.max())}")


def unnamed(architecture: Architecture, embedded: Tensor) -> Tensor:
    """Return ids (batch, length) of no meaning, none of them padding, for embeddings (batch, length, size).

    Raises:
        InputError: embeddings of another shape.
    """
    if embedded.ndim != 3 or embedded.shape[2] != architecture.size or not embedded.is_floating_point():
        raise InputError(
            f"inputs_embeds must be (batch, length, {architecture.size}), got {embedded.dtype} {list(embedded.shape)}"
        )
    return torch.full(embedded.shape[:2], int(architecture.padding == 0), device=embedded.device)


def check_states(architecture: Architecture, states: Tensor, batch: int) -> None:
    """Check what `TextDecoder.forward` was given of an encoder.

    Raises:
        InputError: not of the shape (batch, frames, size).
    """
    if states.ndim != 3 or len(states) != batch or states.shape[2] != architecture.size:
        raise InputError(
            f"encoder_hidden_states must be (batch, frames, size) ({batch}, frames, {architecture.size}), "
            f"got {list(states.shape)}"
        )


def traced(entries: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    """Return what was traced as an output holds it."""
    return None if entries is None else tuple(entries)
