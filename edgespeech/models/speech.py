"""The public face of the speech encoder: `attention_mask` in, an output with the reference library's names out."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from edgespeech.base.fresh import grouped
from edgespeech.base.outputs import BaseModelOutput, answered
from edgespeech.base.pretrained import PreTrainedModel, draw
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder import EncoderOutput, SpeechEncoder
from edgespeech.encoder.transformer import Trace
from edgespeech.errors import InputError

# Weights of heads, by their first name: an encoder leaves them in the checkpoint when it is loaded on its own.
HEADS = frozenset(
    (
        "classifier",
        "ctc_proj",
        "label_embeddings_concat",
        "layer_norm_for_extract",
        "feature_extractor",  # of the x-vector head; the encoder's own stands under the family's prefix
        "layer_weights",
        "lm_head",
        "objective",
        "project_hid",
        "project_q",
        "projector",
        "quantizer",
        "speaker_proj",
        "tdnn",
    )
)


class SpeechModel(PreTrainedModel, SpeechEncoder):
    """A speech encoder without a head. The families' classes set their configuration and prefix."""

    shows_features: ClassVar[bool] = True  # whether the output has `extract_features`

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__(config)
        draw(self, config)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutput:
        """Encode waveforms (batch, samples), normalised as the checkpoint's feature extractor does it.

        Args:
            input_values: float waveforms, padded on the right.
            attention_mask: (batch, samples), 1 on real samples. With it, each utterance gets what it gets alone, for
                group norm too (where the reference library lets the padding into the statistics).
            mask_time_indices: (batch, frames), true on frames to hide, for pre-training.
            output_attentions: return each layer's attention weights; where it is not said, the configuration does.
            output_hidden_states: return the transformer's input and each layer's output, likewise.
            return_dict: False returns a tuple of what is not None, likewise.

        NaN in a waveform is passed through: that utterance's output is NaN, the others' is not.

        Raises:
            InputError: a wrong shape or type, no utterance at all, an utterance shorter than one frame, or a mask with
                padding elsewhere than at the end.
        """
        trace = trace_for(self.config, output_hidden_states, output_attentions)
        result = self.encode_masked(input_values, attention_mask, mask_time_indices, trace)
        features = result.extract_features if self.shows_features else None
        output = BaseModelOutput(result.last_hidden_state, features, result.hidden_states, result.attentions)
        return answered(output, self.config, return_dict)

    def encode_masked(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None,
        mask_time_indices: Tensor | None = None,
        trace: Trace | None = None,
    ) -> EncoderOutput:
        """Do what `forward` does, with its arguments and errors; the result knows the frames of each utterance."""
        lengths = self.checked_lengths(input_values, attention_mask, self.shortest)
        return self.encode(input_values, lengths, mask_time_indices=mask_time_indices, trace=trace)

    def checked_lengths(
        self, input_values: Tensor, attention_mask: Tensor | None, shortest: int, why: str = "one frame"
    ) -> Tensor | None:
        """Check what `forward` is given; return the real samples of each utterance (batch,), None for no mask.

        Raises:
            InputError: as `forward` does. `shortest` samples are needed at least, `why` says for what.
        """
        if input_values.ndim != 2 or not len(input_values):
            raise InputError(f"input_values must be (batch, samples), got {list(input_values.shape)}")
        if input_values.dtype != self.dtype:
            raise InputError(f"input_values must be {self.dtype} like the weights, got {input_values.dtype}")
        return sample_lengths(attention_mask, input_values, shortest, why)

    def adopted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """See `PreTrainedModel.adopted`; the weights of a checkpoint with a head stand under the family's prefix."""
        prefix = self.base_model_prefix + "."
        if any(name.startswith(prefix) for name in weights):
            inner = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
            foreign = {
                name: tensor
                for name, tensor in weights.items()
                if not name.startswith(prefix) and name.split(".")[0] not in HEADS
            }
            weights = inner | foreign
        return super().adopted(weights)

    def optional_weights(self) -> list[list[str]]:
        """See `PreTrainedModel.optional_weights`; adapters behind the encoder, and those of languages in its layers."""
        return grouped(self.state_dict(), _adapter)

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor | int) -> Tensor:
        """Return `frames`, under the name by which the reference library's samples of pre-training ask for it."""
        return self.frames(torch.as_tensor(input_lengths))

    def freeze_feature_encoder(self) -> None:
        """Take the conv stack out of training."""
        self.feature_extractor.requires_grad_(False)


def _adapter(name: str) -> str | None:
    """Return which adapter a weight of an encoder belongs to."""
    if name.startswith("adapter."):
        return "adapter"
    return "adapter_layer" if ".adapter_layer." in name else None


def trace_for(config: Any, hidden_states: bool | None, attentions: bool | None) -> Trace:
    """Return a trace of what the caller asks to see; what he does not say, the configuration does."""
    hidden_states = config.output_hidden_states if hidden_states is None else hidden_states
    attentions = config.output_attentions if attentions is None else attentions
    return Trace([] if hidden_states else None, [] if attentions else None)


def sample_lengths(
    attention_mask: Tensor | None, input_values: Tensor, shortest: int, why: str = "one frame"
) -> Tensor | None:
    """Return the number of real samples of each utterance (batch,), None for no mask; `why` there must be `shortest`.

    Raises:
        InputError: the mask has another shape than the input, padding elsewhere than at the end, or fewer than
            `shortest` real samples in a row.
    """
    if attention_mask is None:
        return None
    if attention_mask.shape != input_values.shape:
        raise InputError(
            f"attention_mask must have the shape of input_values {list(input_values.shape)}, "
            f"got {list(attention_mask.shape)}"
        )
    mask = (attention_mask != 0).long()
    if bool((mask.diff(dim=-1) > 0).any()):
        raise InputError("attention_mask must be ones followed by zeros; pad on the right")
    lengths = mask.sum(-1)
    for row in (lengths < shortest).nonzero()[:1, 0].tolist():
        raise InputError(
            f"audio must have at least {shortest} samples for {why}, attention_mask leaves "
            f"{int(lengths[row])} in row {row}; pad it or leave it out"
        )
    return lengths
