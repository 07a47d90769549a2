"""Pre-training: features quantized by codebooks, and wav2vec2's task of telling the right ones among distractors.

https://arxiv.org/abs/2006.11477 (section 3). Which frames are hidden, and which serve as distractors, is an input:
`encoder.spec_augment.spans` draws the ones, `sample_negatives` the others.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgespeech.base.outputs import PreTrainingOutput, answered
from edgespeech.configuration import SpeechEncoderConfig
from edgespeech.encoder import EncoderOutput
from edgespeech.encoder.lengths import real
from edgespeech.errors import ConfigError, InputError
from edgespeech.models.heads.head import SpeechWithHead
from edgespeech.models.speech import trace_for


class GumbelVectorQuantizer(nn.Module):
    """Product quantization: one entry of each codebook, side by side, https://arxiv.org/abs/1611.01144 in training."""

    def __init__(self, config: SpeechEncoderConfig, size_in: int) -> None:
        super().__init__()
        self.groups, self.entries = config.num_codevector_groups, config.num_codevectors_per_group
        if min(self.groups, self.entries, config.codevector_dim) < 1 or config.codevector_dim % self.groups:
            raise ConfigError(
                f"codevector_dim {config.codevector_dim} must be a multiple of num_codevector_groups {self.groups}, "
                f"and there must be entries in each, got num_codevectors_per_group {self.entries}"
            )
        size = config.codevector_dim // self.groups
        self.codevectors = nn.Parameter(torch.empty(1, self.groups * self.entries, size).uniform_())
        self.weight_proj = nn.Linear(size_in, self.groups * self.entries)
        nn.init.normal_(self.weight_proj.weight)
        nn.init.zeros_(self.weight_proj.bias)
        self.temperature = 2.0  # of the noise in training, where it is lowered step by step

    def forward(self, features: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor]:
        """(batch, frames, channels) -> (batch, frames, codevector_dim), and the perplexity summed over codebooks.

        `counted` (batch, frames) is true on frames that the perplexity is of, None for all. In training an entry is
        drawn, and the perplexity is that of the probabilities; otherwise both are of the likeliest entries.
        """
        batch, frames, _ = features.shape
        scores = self.weight_proj(features).view(-1, self.entries)  # (batch * frames * groups, entries)
        if self.training:
            chosen = F.gumbel_softmax(scores.float(), tau=self.temperature, hard=True).to(scores.dtype)
            shares = scores.float().softmax(-1)
        else:
            chosen = F.one_hot(scores.argmax(-1), self.entries).to(scores.dtype)
            shares = chosen
        books = self.codevectors.view(self.groups, self.entries, -1)
        quantized = torch.einsum("nge,ged->ngd", chosen.view(-1, self.groups, self.entries), books)
        shares = shares.view(-1, self.groups, self.entries)
        mean = (shares if counted is None else shares[counted.flatten()]).mean(0)  # (groups, entries)
        return quantized.reshape(batch, frames, -1), (-torch.xlogy(mean, mean).sum(-1)).exp().sum()


class SpeechWithQuantizer(SpeechWithHead):
    """What the families' pre-training shares: an encoder, and codebooks for the features below it or its states."""

    quantizes: ClassVar[Literal["features", "states"]] = "features"

    def __init__(self, config: SpeechEncoderConfig) -> None:
        if config.add_adapter:
            raise ConfigError(f"{type(self).__name__} has no add_adapter; leave it at False")
        super().__init__(config)
        self.dropout_features = nn.Dropout(config.feat_quantizer_dropout)
        size = config.conv_dim[-1] if self.quantizes == "features" else config.hidden_size
        self.quantizer = GumbelVectorQuantizer(config, size)

    def set_gumbel_temperature(self, temperature: float) -> None:
        """Set the temperature of the noise by which entries are drawn in training; it begins at 2."""
        self.quantizer.temperature = temperature

    def encoded(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None,
        mask_time_indices: Tensor | None,
        hidden_states: bool | None,
        attentions: bool | None,
    ) -> EncoderOutput:
        """Encode what `forward` is given, after checking it; see `SpeechModel.forward`."""
        trace = trace_for(self.config, hidden_states, attentions)
        output = self.base_model.encode_masked(input_values, attention_mask, mask_time_indices, trace)
        if mask_time_indices is not None and mask_time_indices.shape != output.last_hidden_state.shape[:2]:
            raise InputError(
                f"mask_time_indices must be {list(output.last_hidden_state.shape[:2])}, "
                f"got {list(mask_time_indices.shape)}"
            )
        return output

    def refuse_negatives(self, sampled_negative_indices: Tensor | None) -> None:
        """Check that no distractors are given to a family that has no loss for them.

        Raises:
            InputError: there are some.
        """
        if sampled_negative_indices is not None:
            raise InputError(
                f"a {type(self).__name__} has no contrastive loss, as in the reference library; leave "
                "sampled_negative_indices out, or train with Wav2Vec2ForPreTraining"
            )

    def quantized(self, output: EncoderOutput, counted: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the quantized features (batch, frames, codevector_dim) and the perplexity of the `counted` frames.

        Without `counted` (batch, frames) these are the real frames.
        """
        if counted is None and output.lengths is not None:
            counted = real(output.lengths, output.extract_features.shape[1])
        return self.quantizer(self.dropout_features(output.extract_features), counted)


class SpeechForPreTraining(SpeechWithQuantizer):
    """wav2vec2's pre-training: what the transformer says of hidden frames shall be like their quantized features."""

    def __init__(self, config: SpeechEncoderConfig) -> None:
        super().__init__(config)
        self.project_hid = nn.Linear(config.hidden_size, config.proj_codevector_dim)
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        sampled_negative_indices: Tensor | None = None,
        *,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
    ) -> PreTrainingOutput:
        """Compute states and quantized features (batch, frames, proj_codevector_dim), and with negatives the loss.

        Args:
            input_values: see `SpeechModel.forward`.
            attention_mask: see there. Padding takes no part, neither in the perplexity (where the reference library
                counts it if no frames are hidden).
            mask_time_indices: (batch, frames), true on frames to hide; the loss and the perplexity are of these.
            sampled_negative_indices: (batch, frames, negatives), which frames serve as distractors of a hidden one, as
                places in all utterances' frames, one utterance after the other; see `sample_negatives`.
            output_hidden_states: see `SpeechModel.forward`.
            output_attentions: see there.
            return_dict: see there.

        The loss is a sum over hidden frames: the contrastive loss (equation 3; a distractor equal to the right answer
        is left out), and the codebooks' diversity (equation 4) times `diversity_loss_weight`.

        Raises:
            InputError: negatives of another shape, outside the frames, or without `mask_time_indices`, or what the
                encoder refuses.
        """
        output = self.encoded(input_values, attention_mask, mask_time_indices, output_hidden_states, output_attentions)
        hidden = (
            None if mask_time_indices is None else mask_time_indices.to(output.last_hidden_state.device, torch.bool)
        )
        states = self.project_hid(output.last_hidden_state)
        quantized, perplexity = self.quantized(output, hidden)
        quantized = self.project_q(quantized)
        contrastive = diversity = loss = None
        if sampled_negative_indices is not None:
            if hidden is None:
                raise InputError("sampled_negative_indices need mask_time_indices, the frames that they are for")
            _check_negatives(sampled_negative_indices, hidden)
            contrastive = self._contrastive_loss(states, quantized, hidden, sampled_negative_indices)
            entries = self.quantizer.groups * self.quantizer.entries
            diversity = (entries - perplexity) / entries * hidden.sum()
            loss = contrastive + self.config.diversity_loss_weight * diversity
        answer = PreTrainingOutput(
            loss, states, quantized, perplexity, output.hidden_states, output.attentions, contrastive, diversity
        )
        return answered(answer, self.config, return_dict)

    def _contrastive_loss(self, states: Tensor, quantized: Tensor, hidden: Tensor, negatives: Tensor) -> Tensor:
        """(batch, frames, size) twice, (batch, frames), (batch, frames, negatives) -> a scalar."""
        right = quantized[hidden][:, None]  # (hidden, 1, size)
        wrong = quantized.flatten(0, 1)[negatives[hidden].long()]  # (hidden, negatives, size)
        likeness = torch.cosine_similarity(states[hidden][:, None].float(), torch.cat([right, wrong], 1).float(), -1)
        same = F.pad((wrong == right).all(-1), (1, 0))
        logits = (likeness / self.config.contrastive_logits_temperature).masked_fill(same, float("-inf"))
        return F.cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.long), reduction="sum")


def sample_negatives(mask_time_indices: Tensor, num_negatives: int) -> Tensor:
    """Draw distractors for each hidden frame among the other hidden frames of its utterance, all alike.

    (batch, frames) -> int64 (batch, frames, num_negatives), places in all utterances' frames, one utterance after the
    other; 0 for frames that are not hidden. Draws from torch's generator.

    Raises:
        InputError: an utterance with a single hidden frame, which has no other.
    """
    hidden = mask_time_indices.bool()
    batch, frames = hidden.shape
    negatives = torch.zeros(batch, frames, num_negatives, dtype=torch.long, device=hidden.device)
    for row in range(batch):
        (masked,) = hidden[row].nonzero(as_tuple=True)
        if len(masked) == 1:
            raise InputError(f"row {row} hides one frame, which leaves no other as a negative; hide two or none")
        if len(masked):
            own = torch.arange(len(masked), device=hidden.device)[:, None]
            drawn = torch.randint(len(masked) - 1, (len(masked), num_negatives), device=hidden.device)
            negatives[row, masked] = masked[drawn + (drawn >= own)] + row * frames
    return negatives


def _check_negatives(negatives: Tensor, hidden: Tensor) -> None:
    shape = list(hidden.shape)
    if negatives.ndim != 3 or list(negatives.shape[:2]) != shape or negatives.is_floating_point():
        raise InputError(
            f"sampled_negative_indices must be whole numbers ({shape[0]}, {shape[1]}, negatives), "
            f"got {negatives.dtype} of shape {list(negatives.shape)}"
        )
    used = negatives[hidden]
    if used.numel() and not 0 <= int(used.min()) <= int(used.max()) < hidden.numel():
        raise InputError(
            f"sampled_negative_indices must be at least 0 and below the {hidden.numel()} frames of the batch, "
            f"got {int(used.min())} to {int(used.max())}"
        )
