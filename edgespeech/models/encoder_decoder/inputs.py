"""What an encoder-decoder is given, checked, and what it returns, put together."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgespeech.base.labels import IGNORED
from edgespeech.base.outputs import BaseModelOutput, CausalLMOutput, Seq2SeqLMOutput
from edgespeech.errors import InputError
from edgespeech.models.speech import SpeechModel


def waveforms(
    input_values: Tensor | None, inputs: Tensor | None, encoder_outputs: Any, input_features: Tensor | None = None
) -> Tensor | None:
    """Return the waveforms under whichever name they came; None for an encoder's output in their place.

    Raises:
        InputError: nothing, or more than one of them, or features of a spectrogram.
    """
    if input_features is not None:
        raise InputError("input_features are for encoders of spectrograms, which are not here; give input_values")
    given = [value for value in (input_values, inputs, encoder_outputs) if value is not None]
    if len(given) != 1:
        raise InputError(f"give input_values or encoder_outputs, one of them, got {len(given)}")
    return input_values if input_values is not None else inputs


def given_states(given: Any, encoder: SpeechModel, attention_mask: Tensor | None) -> BaseModelOutput:
    """Return what a caller gave in place of waveforms: an encoder's output, or its tuple, the last states first.

    Raises:
        InputError: something else, states of another size, or a mask (batch, samples) of another number of frames.
    """
    if isinstance(given, (tuple, list)) and given:
        given = BaseModelOutput(given[0], None, *given[1:3])
    states = given.get("last_hidden_state") if isinstance(given, Mapping) else None
    size = encoder.config.output_size
    if not isinstance(states, Tensor) or states.ndim != 3 or states.shape[2] != size:
        shape = list(states.shape) if isinstance(states, Tensor) else type(given).__name__
        raise InputError(f"encoder_outputs must be (batch, frames, {size}), got {shape}")
    if attention_mask is not None:
        frames = int(encoder.frames(torch.tensor(attention_mask.shape[-1])))
        if states.shape[:2] != (len(attention_mask), frames):
            raise InputError(
                f"attention_mask {list(attention_mask.shape)} belongs to encoder_outputs of {frames} frames, "
                f"got {list(states.shape)}"
            )
    return BaseModelOutput(states, None, given.get("hidden_states"), given.get("attentions"))


def joined(encoded: Any, states: Tensor, decoded: CausalLMOutput, labels: Tensor | None) -> Seq2SeqLMOutput:
    """Return the outputs of both halves as one, `states` being what the decoder saw, and with labels the loss."""
    loss = None
    if labels is not None:
        loss = F.cross_entropy(decoded.logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    return Seq2SeqLMOutput(
        loss,
        decoded.logits,
        decoded.past_key_values,
        decoded.hidden_states,
        decoded.attentions,
        decoded.cross_attentions,
        states,
        encoded.hidden_states,
        encoded.attentions,
    )
